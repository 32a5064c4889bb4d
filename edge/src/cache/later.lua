-- Which of two epochs is later, put before the scripts that ask. Byte by byte: the order of strings depends on the server's locale.
local function later(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x > y end
  end
  return #a > #b
end
