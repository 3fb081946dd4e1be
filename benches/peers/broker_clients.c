/* Broadcasts through a running broker, Mosquitto (MQTT, QoS 1) or nats-server, to N subscribers in
 * one process, which answer each with a message of 8 bytes of their own; the time is until the
 * publisher holds all N answers, as a doctor holds her receipts. One line of JSON for each size.
 * Processor time and memory are the broker's.
 * Usage: broker_clients mqtt|nats DIR PORT BROKER_PID N BROADCASTS SIZE...
 *   DIR has ca.pem, client.pem, client.key for TLS 1.3. See ../peers.py, which builds and runs it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct { int fd; SSL *ssl; size_t len, cap; unsigned char *buf; long got; } Conn;
static Conn *conns; /* [0] is the publisher, [1..n] the subscribers */
static int n, nats, port, broker, ep;
static long delivered, acks, pubacks;
static SSL_CTX *ctx;

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
static void die(const char *m) { perror(m); ERR_print_errors_fp(stderr); exit(1); }
static int cmp(const void *a, const void *b) { double x = *(double *)a, y = *(double *)b; return (x > y) - (x < y); }

static double proc_cpu(int pid) { /* user + system time of all threads of the process, seconds */
    clockid_t c;
    struct timespec t;
    if (clock_getcpuclockid(pid, &c) || clock_gettime(c, &t)) die("the process is gone");
    return t.tv_sec + 1e-9 * t.tv_nsec;
}
static long rss_kib(int pid) {
    char f[64], l[256];
    long kib = 0;
    snprintf(f, sizeof f, "/proc/%d/status", pid);
    FILE *h = fopen(f, "r");
    while (h && fgets(l, sizeof l, h)) if (!strncmp(l, "VmRSS:", 6)) kib = atol(l + 6);
    if (h) fclose(h);
    return kib;
}

static void xwrite(Conn *c, const void *p, size_t len) { /* all of it; waits if the socket is full */
    while (len) {
        int r = c->ssl ? SSL_write(c->ssl, p, len) : (int)send(c->fd, p, len, MSG_NOSIGNAL);
        if (r > 0) { p = (const char *)p + r; len -= r; continue; }
        if (c->ssl ? SSL_get_error(c->ssl, r) != SSL_ERROR_WANT_WRITE : errno != EAGAIN) die("write");
        struct pollfd q = {c->fd, POLLOUT, 0};
        if (poll(&q, 1, 5000) <= 0) die("write stalled");
    }
}
static int xread(Conn *c) { /* 1: something read, 0: would block */
    if (c->len == c->cap) die("message longer than the buffer");
    int r = c->ssl ? SSL_read(c->ssl, c->buf + c->len, c->cap - c->len) : (int)recv(c->fd, c->buf + c->len, c->cap - c->len, 0);
    if (r > 0) { c->len += r; return 1; }
    if (c->ssl ? SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ : (r < 0 && errno == EAGAIN)) return 0;
    die("connection lost");
    return 0;
}

/* One complete message at the start of the buffer is handled and removed; 0 if there is none. */
static int handle(Conn *c) {
    unsigned char *b = c->buf;
    size_t total = 0;
    int is_pub = c == conns;
    if (!nats) {
        size_t rem = 0, i = 1;
        int shift = 0;
        do { if (i >= c->len) return 0; rem |= (size_t)(b[i] & 127) << shift; shift += 7; } while (b[i++] & 128);
        total = i + rem;
        if (c->len < total) return 0;
        int type = b[0] >> 4;
        if (type == 4) pubacks++;
        if (type == 3 && is_pub) acks++;
        if (type == 3 && !is_pub) {
            size_t tl = b[i] << 8 | b[i + 1];
            unsigned char o[32] = {0x40, 2, b[i + 2 + tl], b[i + 3 + tl], 0x30, 13, 0, 3, 'a', 'c', 'k'};
            xwrite(c, o, 19);
            delivered++; c->got++;
        }
    } else {
        unsigned char *e = memmem(b, c->len, "\r\n", 2);
        if (!e) return 0;
        total = e + 2 - b;
        if (!strncmp((char *)b, "MSG ", 4)) {
            unsigned char *p = e;
            while (p[-1] != ' ') p--;
            total += atol((char *)p) + 2;
            if (c->len < total) return 0;
            if (is_pub) acks++;
            else { delivered++; c->got++; xwrite(c, "PUB ack 8\r\n--------\r\n", 21); }
        } else if (!strncmp((char *)b, "PING", 4)) xwrite(c, "PONG\r\n", 6);
        else if (b[0] == '-') { fprintf(stderr, "%.*s\n", (int)(e - b), b); exit(1); }
    }
    memmove(b, b + total, c->len -= total);
    return 1;
}

static void expect(Conn *c, const char *nats_word, int mqtt_type) { /* blocking, set-up only */
    for (;;) {
        if (c->len && (nats ? memmem(c->buf, c->len, "\r\n", 2) && memmem(c->buf, c->len, nats_word, strlen(nats_word)) != NULL
                            : c->len >= 2 && c->len >= 2u + c->buf[1])) {
            if (!nats && c->buf[0] >> 4 != mqtt_type) die("unexpected answer");
            c->len = 0;
            return;
        }
        xread(c);
    }
}
static void open_conn(int i, int cap) {
    Conn *c = &conns[i];
    c->cap = cap;
    c->buf = malloc(cap);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (void *)&a, sizeof a)) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (nats) expect(c, "INFO", 0);
    if (ctx) {
        c->ssl = SSL_new(ctx);
        SSL_set_fd(c->ssl, c->fd);
        if (SSL_connect(c->ssl) != 1) die("TLS");
    }
    const char *topic = i ? "b" : "ack";
    char o[256];
    if (nats) {
        int k = snprintf(o, sizeof o, "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":%s,\"name\":\"c%d\",\"lang\":\"c\",\"version\":\"0\",\"protocol\":0}\r\nSUB %s 1\r\nPING\r\n", ctx ? "true" : "false", i, topic);
        xwrite(c, o, k);
        expect(c, "PONG", 0);
    } else {
        char id[16];
        int k = snprintf(id, sizeof id, "c%d", i), t = strlen(topic);
        unsigned char h[32] = {0x10, 12 + k, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, k};
        memcpy(h + 14, id, k);
        xwrite(c, h, 14 + k);
        expect(c, NULL, 2);
        unsigned char s[32] = {0x82, 5 + t, 0, 1, 0, t};
        memcpy(s + 6, topic, t);
        s[6 + t] = i ? 1 : 0;
        xwrite(c, s, 7 + t);
        expect(c, NULL, 9);
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
}

static void publish(int size) {
    static unsigned short id;
    static unsigned char o[70000];
    int k = 0;
    if (nats) k = sprintf((char *)o, "PUB b %d\r\n", size);
    else {
        int rem = 5 + size;
        o[k++] = 0x32;
        do { o[k++] = (rem & 127) | (rem > 127 ? 128 : 0); rem >>= 7; } while (rem);
        if (!++id) id = 1;
        o[k++] = 0; o[k++] = 1; o[k++] = 'b'; o[k++] = id >> 8; o[k++] = id;
    }
    memset(o + k, 'x', size);
    k += size;
    if (nats) { o[k++] = '\r'; o[k++] = '\n'; }
    xwrite(conns, o, k);
}
/* Pump events until *counter reaches the target; the time at which it did. */
static double pump(volatile long *counter, long target) {
    struct epoll_event evs[256];
    double limit = now() + 60;
    while (*counter < target) {
        int k = epoll_wait(ep, evs, 256, 1000);
        if (!k && now() > limit) { fprintf(stderr, "stalled: %ld of %ld\n", *counter, target); exit(1); }
        for (int i = 0; i < k; i++) {
            Conn *c = evs[i].data.ptr;
            do { xread(c); while (handle(c)) { } } while (c->ssl && SSL_pending(c->ssl));
        }
    }
    return now();
}

int main(int argc, char **argv) {
    if (argc < 8) { fprintf(stderr, "usage: see the header\n"); return 2; }
    nats = !strcmp(argv[1], "nats");
    port = atoi(argv[3]); broker = atoi(argv[4]); n = atoi(argv[5]);
    int rounds = atoi(argv[6]);
    char f[512];
    signal(SIGPIPE, SIG_IGN);
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    snprintf(f, sizeof f, "%s/ca.pem", argv[2]); if (SSL_CTX_load_verify_locations(ctx, f, NULL) != 1) die(f);
    snprintf(f, sizeof f, "%s/client.pem", argv[2]); if (SSL_CTX_use_certificate_file(ctx, f, SSL_FILETYPE_PEM) != 1) die(f);
    snprintf(f, sizeof f, "%s/client.key", argv[2]); if (SSL_CTX_use_PrivateKey_file(ctx, f, SSL_FILETYPE_PEM) != 1) die(f);
    ep = epoll_create1(0);
    conns = calloc(n + 1, sizeof *conns);
    double *t = malloc(rounds * sizeof *t);
    if (!conns || !t) die("memory");
    long before = rss_kib(broker);
    for (int i = 0; i <= n; i++) open_conn(i, i ? 16384 : 1 << 20);
    double kib_each = (double)(rss_kib(broker) - before) / (n + 1);
    for (int a = 7; a < argc; a++) {
        int size = atoi(argv[a]);
        double cpu = 0;
        for (int i = -3; i < rounds; i++) { /* one at a time; -3..-1 warm up */
            if (i == 0) cpu = proc_cpu(broker);
            long want = delivered + n, answers = acks + n, accepted = pubacks + 1;
            double start = now();
            publish(size);
            pump(&delivered, want);
            double end = pump(&acks, answers);
            if (!nats) pump(&pubacks, accepted);
            if (i >= 0) t[i] = end - start;
        }
        usleep(50000); /* what the last answers cost the broker counts too */
        cpu = proc_cpu(broker) - cpu;
        qsort(t, rounds, sizeof *t, cmp);
        printf("{\"bytes\":%d,\"answered_ms\":{\"p50\":%.3f,\"p99\":%.3f},\"cpu_ms_per_1000\":%.2f,\"kib_each\":%.1f,\"kib_each_after\":%.1f}\n",
            size, 1e3 * t[rounds / 2], 1e3 * t[(rounds * 99 + 99) / 100 - 1], 1e6 * cpu / ((double)rounds * n),
            kib_each, (double)(rss_kib(broker) - before) / (n + 1));
        fflush(stdout);
    }
    for (int i = 2; i <= n; i++) if (conns[i].got != conns[1].got) { fprintf(stderr, "not everybody got every message\n"); return 1; }
    return 0;
}
