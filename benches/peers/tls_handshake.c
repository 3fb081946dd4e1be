/* TLS 1.3 handshakes of OpenSSL with certificates on both sides, over loopback: one server process
 * (one thread, epoll) and CLIENTS forked clients, each of which connects, reads the one byte that
 * the server sends once it has verified the client, resets and begins again. One line of JSON:
 * processor time of the server (and of the clients) per handshake.
 * Usage: tls_handshake DIR GROUP full|resume SECONDS CLIENTS
 *   DIR has ca.pem, server.pem, server.key, client.pem, client.key; GROUP e.g. ffdhe3072, X25519
 *   resume: PSK with a fresh key exchange. See ../peers.py, which builds and runs it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile struct { long done[64], bad[64], resumed[64]; volatile int stop; } *sh;
static char *dir, *group, *mode;
static int port;

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
static void die(const char *m) { perror(m); ERR_print_errors_fp(stderr); exit(1); }

static double proc_cpu(int pid) { /* user + system time of all threads of the process, seconds */
    clockid_t c;
    struct timespec t;
    if (clock_getcpuclockid(pid, &c) || clock_gettime(c, &t)) die("the process is gone");
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static SSL_CTX *make_ctx(int server) {
    SSL_CTX *c = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    char f[512];
    const char *who = server ? "server" : "client";
    SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION);
    if (!SSL_CTX_set1_groups_list(c, group)) die("group");
    SSL_CTX_set_ciphersuites(c, "TLS_AES_256_GCM_SHA384");
    snprintf(f, sizeof f, "%s/%s.pem", dir, who);
    if (SSL_CTX_use_certificate_file(c, f, SSL_FILETYPE_PEM) != 1) die(f);
    snprintf(f, sizeof f, "%s/%s.key", dir, who);
    if (SSL_CTX_use_PrivateKey_file(c, f, SSL_FILETYPE_PEM) != 1) die(f);
    snprintf(f, sizeof f, "%s/ca.pem", dir);
    if (SSL_CTX_load_verify_locations(c, f, NULL) != 1) die(f);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_session_id_context(c, (const unsigned char *)"p", 1);
    SSL_CTX_set_num_tickets(c, strcmp(mode, "full") ? 1 : 0);
    if (!strcmp(mode, "full")) SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    return c;
}

static void serve(int lfd) {
    SSL_CTX *ctx = make_ctx(1);
    int ep = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL}, evs[64];
    epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &ev);
    for (;;) {
        int n = epoll_wait(ep, evs, 64, 100);
        if (sh->stop) _exit(0);
        for (int i = 0; i < n; i++) {
            SSL *s = evs[i].data.ptr;
            if (!s) {
                int fd;
                while ((fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    int one = 1;
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    s = SSL_new(ctx);
                    SSL_set_fd(s, fd);
                    SSL_set_accept_state(s);
                    ev = (struct epoll_event){.events = EPOLLIN, .data.ptr = s};
                    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
                }
                continue;
            }
            int fd = SSL_get_fd(s), gone = 0;
            if (!SSL_is_init_finished(s)) {
                ERR_clear_error();
                int r = SSL_do_handshake(s);
                if (r == 1) {
                    if (SSL_get_verify_result(s) != X509_V_OK || SSL_write(s, "k", 1) != 1) gone = 1;
                } else {
                    int e = SSL_get_error(s, r);
                    if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) gone = 1;
                }
            } else { char b[16]; if (SSL_read(s, b, sizeof b) <= 0) gone = 1; }
            if (gone) { close(fd); SSL_free(s); }
        }
    }
}

static SSL_SESSION *sess;
static int new_sess(SSL *s, SSL_SESSION *n) { (void)s; if (sess) SSL_SESSION_free(sess); sess = n; return 1; }

static void client(int id) {
    SSL_CTX *ctx = make_ctx(0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger lg = {1, 0};
    int resume = strcmp(mode, "full");
    if (resume) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, new_sess);
    }
    while (!sh->stop) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd, (void *)&a, sizeof a)) die("connect");
        SSL *s = SSL_new(ctx);
        SSL_set_fd(s, fd);
        if (resume && sess) SSL_set_session(s, sess);
        char b;
        if (SSL_connect(s) == 1 && SSL_read(s, &b, 1) == 1) {
            sh->done[id]++;
            if (SSL_session_reused(s)) sh->resumed[id]++;
        } else if (!sh->stop) { if (!sh->bad[id]++) ERR_print_errors_fp(stderr); ERR_clear_error(); }
        SSL_set_quiet_shutdown(s, 1); /* else SSL_free makes the session not resumable */
        SSL_shutdown(s);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
        close(fd);
        SSL_free(s);
    }
    _exit(0);
}

static void sum(long *d, long *r, long *b, int n) { *d = *r = *b = 0; for (int i = 0; i < n; i++) { *d += sh->done[i]; *r += sh->resumed[i]; *b += sh->bad[i]; } }

int main(int argc, char **argv) {
    if (argc != 6) { fprintf(stderr, "usage: see the header\n"); return 2; }
    dir = argv[1]; group = argv[2]; mode = argv[3];
    double secs = atof(argv[4]);
    int n = atoi(argv[5]);
    if (n > 64) n = 64;
    signal(SIGPIPE, SIG_IGN);
    sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int lfd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t al = sizeof a;
    if (bind(lfd, (void *)&a, sizeof a) || listen(lfd, 1024) || getsockname(lfd, (void *)&a, &al)) die("listen");
    port = ntohs(a.sin_port);
    pid_t srv = fork(), kids[64];
    if (!srv) { serve(lfd); }
    close(lfd);
    for (int i = 0; i < n; i++) if (!(kids[i] = fork())) client(i);
    long d0, r0, d1, r1, b;
    usleep(500000); /* warm up; with tickets, everybody has one by now */
    sum(&d0, &r0, &b, n);
    double c0 = proc_cpu(srv), t0 = now(), k0 = 0, k1 = 0;
    for (int i = 0; i < n; i++) k0 += proc_cpu(kids[i]);
    usleep((useconds_t)(secs * 1e6));
    sum(&d1, &r1, &b, n);
    double c1 = proc_cpu(srv), t1 = now();
    for (int i = 0; i < n; i++) k1 += proc_cpu(kids[i]);
    sh->stop = 1;
    for (int i = 0; i < n; i++) waitpid(kids[i], NULL, 0);
    waitpid(srv, NULL, 0);
    double hs = d1 - d0;
    if (b || hs < 1 || (strcmp(mode, "full") && r1 - r0 < hs)) { fprintf(stderr, "%ld handshakes failed, %ld of %.0f resumed\n", b, r1 - r0, hs); return 1; }
    printf("{\"server_cpu_ms\":%.3f,\"client_cpu_ms\":%.3f,\"per_second\":%.1f}\n", 1e3 * (c1 - c0) / hs, 1e3 * (k1 - k0) / hs, hs / (t1 - t0));
    return 0;
}
