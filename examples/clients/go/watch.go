// Watch is a game server at level Watch: the edge tells which events each of its players is shown, and this prints
// every change.
//
//	watch -edge ws://edge-1:8090,ws://edge-2:8090 -region us-east -token-file token PLAYER...
//
// Needs github.com/gorilla/websocket. The protocol is docs/protocol.md; all that this program adds to it is its command
// line and the printing. It ends, with a goodbye to the edge, on SIGINT and SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"os/signal"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// Ten thousand game servers lose an edge at the same moment, so every wait is drawn at random.
	backoffBase  = 250 * time.Millisecond
	backoffMax   = 30 * time.Second
	rest         = 30 * time.Second
	openTimeout  = 10 * time.Second
	deadAfter    = 45 * time.Second // The edge pings every 20 s.
	writeTimeout = 30 * time.Second
)

type position struct {
	Epoch   string `json:"epoch"`
	Version uint64 `json:"version"`
}

// message is one from the edge: the fields of all types that we care for.
type message struct {
	Type string
	position
	Edge, Player, ExpiresAt         string
	AckIntervalMs, ReconnectAfterMs int64
	Stale                           bool
	Events                          []struct {
		EventID  string
		Revision uint32
	}
}

type edge struct {
	url        string
	restsUntil time.Time // It said "not now" or "not like this": it is left alone until then.
}

type gameServer struct {
	region, tokenFile string
	players           []map[string]string
	edges             []edge
	failures          int               // Since an edge last told us all.
	shown             map[string]string // By player, what was printed last.
	position          *position         // The newest that any message told, from whatever edge.
}

// run tries the edges in turn, one that rests after the others.
func (g *gameServer) run(ctx context.Context) {
	start := time.Now()
	for ctx.Err() == nil {
		sort.SliceStable(g.edges, func(a, b int) bool { return g.edges[a].restsUntil.Before(g.edges[b].restsUntil) })
		next := &g.edges[0]
		if next.restsUntil.After(start) {
			start = next.restsUntil
		}
		say("connecting to %s in %.1f s", next.url, time.Until(start).Seconds())
		pause(ctx, time.Until(start))
		wait, rest := g.connect(ctx, next.url)
		start = time.Now().Add(wait)
		next.restsUntil = start.Add(rest + jitter(rest))
	}
}

// connect is one connection, to its end. It returns how long to wait before the next, and how long this edge is to be
// left alone after that.
func (g *gameServer) connect(ctx context.Context, url string) (wait, rest time.Duration) {
	var response *http.Response
	var leaveAt time.Time
	token, err := readToken(g.tokenFile)
	if err == nil {
		dialer := websocket.Dialer{Subprotocols: []string{"liveevents.v1"}, HandshakeTimeout: openTimeout}
		header := http.Header{"Authorization": {"Bearer " + token}}
		var conn *websocket.Conn
		if conn, response, err = dialer.DialContext(ctx, strings.TrimRight(url, "/")+"/api/v1/subscribe", header); err == nil {
			if leaveAt, err = g.converse(ctx, conn); !leaveAt.IsZero() {
				return time.Until(leaveAt), 0
			}
		}
	}
	say("%s: %v", url, err)
	// Exponential, with full jitter.
	limit := backoffMax
	if g.failures++; g.failures < 7 {
		limit = backoffBase << g.failures
	}
	return jitter(limit), restAfter(response, err)
}

// restAfter is the tables of refusals and of close codes in docs/protocol.md.
func restAfter(response *http.Response, err error) time.Duration {
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		switch closed.Code {
		case 4001, 4002, 4003, 4006, 4010, 4011, 4012, 4013, 4014, 4015, 4016, 4017:
			return rest
		}
	} else if errors.Is(err, websocket.ErrBadHandshake) {
		body, _ := io.ReadAll(response.Body)
		say("%s: %s", response.Status, body)
		if after, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
			return time.Duration(after) * time.Second
		} else if response.StatusCode < 500 {
			return rest
		}
	}
	return 0
}

// converse goes on until something fails, or until the moment that the edge's goaway tells: till then we are served.
func (g *gameServer) converse(ctx context.Context, conn *websocket.Conn) (leaveAt time.Time, err error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	defer func() { cancel(); <-ended }()
	go func() { // Whoever ends this says goodbye, and ends the reading.
		defer close(ended)
		<-ctx.Done()
		goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		_ = conn.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second))
		_ = conn.Close()
	}()
	var writing sync.Mutex
	send := func(message any) error {
		writing.Lock()
		defer writing.Unlock()
		_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		return conn.WriteJSON(message)
	}
	held := make(chan holding, 1)
	go ackForever(ctx, send, held)
	conn.SetReadLimit(64 << 20)
	alive := func() {
		deadline := time.Now().Add(deadAfter)
		if !leaveAt.IsZero() && leaveAt.Before(deadline) {
			deadline = leaveAt
		}
		_ = conn.SetReadDeadline(deadline)
	}
	pong := conn.PingHandler()
	conn.SetPingHandler(func(data string) error { alive(); return pong(data) })

	hello := map[string]any{"type": "hello", "region": g.region, "level": "Watch", "client": "example-go/1"}
	if g.position != nil {
		hello["position"] = g.position
	}
	_ = send(hello) // Where this fails, so does reading.
	_ = send(map[string]any{"type": "watch", "players": g.players})
	interval := time.Second
	for {
		alive()
		_, text, err := conn.ReadMessage()
		if err != nil {
			return leaveAt, err
		}
		var m message
		if err := json.Unmarshal(text, &m); err != nil {
			return leaveAt, err
		}
		switch m.Type {
		case "welcome":
			say("connected to %s", m.Edge)
			interval = time.Duration(m.AckIntervalMs) * time.Millisecond
		case "player":
			if g.reaches(m.position) {
				g.print(&m)
			}
		case "current": // Every player has been told as of this version, and since all was printed, all is applied.
			if !g.reaches(m.position) {
				continue
			}
			g.failures = 0
			select { // Instead of one that was not acked yet.
			case <-held:
			default:
			}
			held <- holding{m.position, time.Now(), interval}
		case "tokenExpiring":
			say("%s", text)
			token, err := readToken(g.tokenFile)
			if err != nil {
				return leaveAt, err
			}
			_ = send(map[string]string{"type": "token", "token": token})
		case "tokenRenewed", "contact", "refused", "error":
			say("%s", text)
		case "goaway":
			say("goaway: leaving in %d ms", m.ReconnectAfterMs)
			leaveAt = time.Now().Add(time.Duration(m.ReconnectAfterMs) * time.Millisecond)
		} // Whatever else there is, or will be, is not for us.
	}
}

// reaches tells whether a position leads on. An edge never leads back; if one does, we do not follow.
func (g *gameServer) reaches(at position) bool {
	held := g.position
	if held != nil && (at.Epoch < held.Epoch || at.Epoch == held.Epoch && at.Version < held.Version) {
		return false
	}
	g.position = &at
	return true
}

func (g *gameServer) print(m *message) {
	events := ""
	for _, event := range m.Events {
		events += fmt.Sprintf(" %s/%d", event.EventID, event.Revision)
	}
	if events == "" {
		events = " nothing"
	}
	if g.shown[m.Player] != events {
		g.shown[m.Player] = events
		fmt.Printf("version %d: %s is shown%s\n", m.Version, m.Player, events)
	}
}

type holding struct {
	position
	since    time.Time
	interval time.Duration
}

// ackForever acks the newest position held: at once, but not again before the interval that the edge asked for.
func ackForever(ctx context.Context, send func(any) error, held <-chan holding) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case h := <-held:
			_ = send(map[string]any{"type": "ack", "epoch": h.Epoch, "version": h.Version,
				"status": "Applied", "heldMs": time.Since(h.since).Milliseconds()})
			pause(ctx, h.interval)
		}
	}
}

func pause(ctx context.Context, duration time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}
}

func jitter(limit time.Duration) time.Duration { return time.Duration(rand.Float64() * float64(limit)) }

func readToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}

func say(format string, values ...any) { fmt.Fprintf(os.Stderr, format+"\n", values...) }

func main() {
	urls := flag.String("edge", "", "URLs of edges, ws:// or wss://, with commas between")
	g := gameServer{shown: map[string]string{}}
	flag.StringVar(&g.region, "region", "", "the region to serve")
	flag.StringVar(&g.tokenFile, "token-file", "", "is read again when the token is about to expire")
	flag.Parse()
	if *urls == "" || g.region == "" || g.tokenFile == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	for _, player := range flag.Args() {
		g.players = append(g.players, map[string]string{"player": player})
	}
	rand.Seed(time.Now().UnixNano())
	for _, url := range strings.Split(*urls, ",") {
		g.edges = append(g.edges, edge{url: url})
	}
	rand.Shuffle(len(g.edges), func(a, b int) { g.edges[a], g.edges[b] = g.edges[b], g.edges[a] })
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	g.run(ctx)
	say("ended")
}
