
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * Sends signed events over connections that are kept alive, as fast as they
 * are answered, and counts the answers.  All requests are made and signed
 * before the first is sent.  They share what follows the id in the body, so
 * that many large ones fit into memory.
 *
 *     load -p PORT -u URI -s SECRET [-n REQUESTS] [-d IDS] [-b FIRST]
 *          [-c CONNECTIONS] [-a CPU] [-P PID] [-w] FILE
 *
 * FILE is a body with the id "evt-000000000000".  Request number i has the id
 * FIRST + i % IDS in place of that; IDS is as many as there are requests where
 * it is not given.  -w signs wrong.  -P names the process that answers: what the
 * kernel has counted for it is reported, too.  Prints one object of JSON.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>


#define LOAD_ID           "evt-000000000000"
#define LOAD_ID_LEN       (sizeof(LOAD_ID) - 1)
#define LOAD_ANSWER       16384           /* bytes, the largest */
#define LOAD_CONNECTIONS  1024
#define LOAD_KINDS        16              /* of answers */
#define LOAD_PATIENCE     60              /* seconds without any answer */


/* an answer is told from others by its status and the length of its body */

typedef struct {
    unsigned               status;
    size_t                 length;
    size_t                 count;
} load_kind_t;


typedef struct {
    int                    fd;
    unsigned               out:1;         /* waits until it can be written */
    unsigned               close:1;       /* after this answer */
    size_t                 request;
    size_t                 sent;
    double                 start;
    size_t                 len;
    char                   answer[LOAD_ANSWER];
} load_connection_t;


typedef struct {
    unsigned long long     run;           /* nanoseconds */
    unsigned long long     wait;
} load_usage_t;


static void load_die(const char *what);
static double load_time(void);
static void load_options(int argc, char **argv);
static size_t load_number(const char *text);
static char *load_read(const char *name, size_t *len);
static void load_key(void);
static void load_prepare(void);
static void load_sign(char *hex, const char *t, const char *head,
    size_t head_len);
static load_usage_t load_usage(void);
static void load_connect(load_connection_t *c);
static void load_next(load_connection_t *c);
static void load_write(load_connection_t *c);
static void load_want(load_connection_t *c, unsigned out);
static void load_received(load_connection_t *c);
static int load_complete(load_connection_t *c, load_kind_t *kind);
static char *load_field(char *head, const char *name);
static void load_count(load_kind_t *kind);
static int load_compare(const void *one, const void *two);
static void load_report(double seconds, load_usage_t *from, load_usage_t *to);


static int                 load_port;
static int                 load_cpu = -1;
static int                 load_pid;
static int                 load_wrong;
static size_t              load_requests = 1000;
static size_t              load_ids;
static size_t              load_first;
static size_t              load_connections = 32;
static const char         *load_uri;
static const char         *load_secret;

static char               *load_tail;
static size_t              load_tail_len;
static EVP_MAC_CTX        *load_mac;
static char               *load_heads;    /* each of them is as long */
static size_t              load_head_len;

static int                 load_epoll;
static size_t              load_started;
static size_t              load_answered;
static size_t              load_reconnects;
static float              *load_latencies;
static load_kind_t         load_kinds[LOAD_KINDS];
static load_connection_t  *load_pool;


static void
load_die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}


static double
load_time(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


static size_t
load_number(const char *text)
{
    char    *end;
    size_t   n;

    n = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "load: not a number: %s\n", text);
        exit(2);
    }

    return n;
}


static void
load_options(int argc, char **argv)
{
    int  c;

    while ((c = getopt(argc, argv, "a:b:c:d:n:p:P:s:u:w")) != -1) {

        switch (c) {
        case 'a':
            load_cpu = load_number(optarg);
            break;

        case 'b':
            load_first = load_number(optarg);
            break;

        case 'c':
            load_connections = load_number(optarg);
            break;

        case 'd':
            load_ids = load_number(optarg);
            break;

        case 'n':
            load_requests = load_number(optarg);
            break;

        case 'p':
            load_port = load_number(optarg);
            break;

        case 'P':
            load_pid = load_number(optarg);
            break;

        case 's':
            load_secret = optarg;
            break;

        case 'u':
            load_uri = optarg;
            break;

        case 'w':
            load_wrong = 1;
            break;

        default:
            exit(2);
        }
    }

    if (optind != argc - 1 || load_port == 0 || load_uri == NULL
        || load_secret == NULL || load_requests == 0 || load_connections == 0
        || load_connections > LOAD_CONNECTIONS)
    {
        fprintf(stderr, "usage: load -p PORT -u URI -s SECRET [-n REQUESTS] "
                "[-d IDS] [-b FIRST] [-c CONNECTIONS] [-a CPU] [-P PID] [-w] "
                "FILE\n");
        exit(2);
    }

    if (load_ids == 0 || load_ids > load_requests) {
        load_ids = load_requests;
    }

    if (load_connections > load_requests) {
        load_connections = load_requests;
    }
}


static char *
load_read(const char *name, size_t *len)
{
    int      fd;
    char    *p;
    off_t    size;
    size_t   n;

    fd = open(name, O_RDONLY);
    if (fd == -1) {
        load_die(name);
    }

    size = lseek(fd, 0, SEEK_END);
    p = malloc(size + 1);

    if (p == NULL) {
        load_die("malloc");
    }

    n = pread(fd, p, size, 0);

    if (n != (size_t) size) {
        load_die(name);
    }

    close(fd);

    p[size] = '\0';
    *len = size;

    return p;
}


static void
load_key(void)
{
    EVP_MAC     *hmac;
    OSSL_PARAM   params[2];

    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    load_mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 (char *) "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    if (load_mac == NULL
        || EVP_MAC_init(load_mac, (unsigned char *) load_secret,
                        strlen(load_secret), params)
           != 1)
    {
        load_die("HMAC");
    }
}


static void
load_prepare(void)
{
    int     n;
    char   *body, *id, *p;
    char    t[16], hex[65], head[4096];
    size_t  i, len, body_head;

    body = load_tail;
    id = strstr(body, LOAD_ID);

    if (id == NULL) {
        fprintf(stderr, "load: there is no \"%s\" in the body\n", LOAD_ID);
        exit(2);
    }

    len = load_tail_len;
    body_head = id + LOAD_ID_LEN - body;

    load_tail = body + body_head;
    load_tail_len = len - body_head;

    snprintf(t, sizeof(t), "%lld", (long long) time(NULL));
    memset(hex, '0', 64);
    hex[64] = '\0';

    n = snprintf(head, sizeof(head),
                 "POST %s HTTP/1.1\r\n"
                 "Host: 127.0.0.1:%d\r\n"
                 "User-Agent: trove-webhooks/1\r\n"
                 "Content-Type: application/json\r\n"
                 "Content-Length: %zu\r\n"
                 "X-Trove-Event: exec.completed\r\n"
                 "X-Trove-Event-Id: %s\r\n"
                 "X-Trove-Signature: t=%s,v1=%s\r\n"
                 "\r\n",
                 load_uri, load_port, len, LOAD_ID, t, hex);

    if (n < 0 || (size_t) n >= sizeof(head)) {
        fprintf(stderr, "load: the URI is too long\n");
        exit(2);
    }

    load_head_len = n + body_head;
    load_heads = malloc(load_ids * load_head_len);
    load_latencies = malloc(load_requests * sizeof(float));

    if (load_heads == NULL || load_latencies == NULL) {
        load_die("malloc");
    }

    for (i = 0; i < load_ids; i++) {
        p = load_heads + i * load_head_len;

        memcpy(p, head, n);
        memcpy(p + n, body, body_head);

        snprintf(hex, sizeof(hex), "%012zx", load_first + i);
        memcpy(strstr(p, LOAD_ID) + 4, hex, 12);
        memcpy(p + load_head_len - 12, hex, 12);

        load_sign(hex, t, p + n, body_head);
        memcpy(p + n - 4 - 64, hex, 64);
    }
}


static void
load_sign(char *hex, const char *t, const char *head, size_t head_len)
{
    int            i;
    size_t         len;
    unsigned char  md[EVP_MAX_MD_SIZE];

    if (EVP_MAC_init(load_mac, NULL, 0, NULL) != 1
        || EVP_MAC_update(load_mac, (unsigned char *) t, strlen(t)) != 1
        || EVP_MAC_update(load_mac, (unsigned char *) ".", 1) != 1
        || EVP_MAC_update(load_mac, (unsigned char *) head, head_len) != 1
        || EVP_MAC_update(load_mac, (unsigned char *) load_tail, load_tail_len)
           != 1
        || EVP_MAC_final(load_mac, md, &len, sizeof(md)) != 1)
    {
        load_die("HMAC");
    }

    /* the worst that there is: all but the last bit is right */

    if (load_wrong) {
        md[31] ^= 1;
    }

    for (i = 0; i < 32; i++) {
        sprintf(hex + 2 * i, "%02x", md[i]);
    }
}


/*
 * What the kernel has counted for the threads of the process: time on a
 * processor, and time in which they could have run but others did.
 */

static load_usage_t
load_usage(void)
{
    DIR                 *dir;
    char                 name[300];
    FILE                *file;
    load_usage_t         usage = { 0, 0 };
    struct dirent       *task;
    unsigned long long   run, wait;

    if (load_pid == 0) {
        return usage;
    }

    snprintf(name, sizeof(name), "/proc/%d/task", load_pid);

    dir = opendir(name);
    if (dir == NULL) {
        load_die(name);
    }

    while ((task = readdir(dir)) != NULL) {

        if (task->d_name[0] == '.') {
            continue;
        }

        snprintf(name, sizeof(name), "/proc/%d/task/%s/schedstat", load_pid,
                 task->d_name);

        file = fopen(name, "r");
        if (file == NULL) {
            load_die(name);
        }

        if (fscanf(file, "%llu %llu", &run, &wait) != 2) {
            fprintf(stderr, "load: %s is not as expected\n", name);
            exit(1);
        }

        fclose(file);

        usage.run += run;
        usage.wait += wait;
    }

    closedir(dir);

    return usage;
}


static void
load_connect(load_connection_t *c)
{
    int                 one;
    struct epoll_event  event;
    struct sockaddr_in  sin;

    c->fd = socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, 0);
    if (c->fd == -1) {
        load_die("socket");
    }

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(load_port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        load_die("connect");
    }

    one = 1;
    (void) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void) fcntl(c->fd, F_SETFL, O_NONBLOCK);

    c->out = 0;
    c->close = 0;

    event.events = EPOLLIN;
    event.data.ptr = c;

    if (epoll_ctl(load_epoll, EPOLL_CTL_ADD, c->fd, &event) == -1) {
        load_die("epoll_ctl");
    }
}


static void
load_want(load_connection_t *c, unsigned out)
{
    struct epoll_event  event;

    if (c->out == out) {
        return;
    }

    c->out = out;

    event.events = out ? EPOLLIN|EPOLLOUT : EPOLLIN;
    event.data.ptr = c;

    if (epoll_ctl(load_epoll, EPOLL_CTL_MOD, c->fd, &event) == -1) {
        load_die("epoll_ctl");
    }
}


static void
load_next(load_connection_t *c)
{
    if (load_started == load_requests) {
        return;
    }

    if (c->close) {
        close(c->fd);
        load_connect(c);
        load_reconnects++;
    }

    c->request = load_started++;
    c->sent = 0;
    c->len = 0;
    c->start = load_time();

    load_write(c);
}


static void
load_write(load_connection_t *c)
{
    int            n;
    char          *head;
    size_t         total, tail;
    ssize_t        sent;
    struct iovec   iov[2];

    total = load_head_len + load_tail_len;
    head = load_heads + c->request % load_ids * load_head_len;

    while (c->sent < total) {
        n = 0;
        tail = 0;

        if (c->sent < load_head_len) {
            iov[n].iov_base = head + c->sent;
            iov[n++].iov_len = load_head_len - c->sent;

        } else {
            tail = c->sent - load_head_len;
        }

        iov[n].iov_base = load_tail + tail;
        iov[n++].iov_len = load_tail_len - tail;

        sent = writev(c->fd, iov, n);

        if (sent == -1) {

            if (errno == EAGAIN) {
                load_want(c, 1);
                return;
            }

            load_die("writev");
        }

        c->sent += sent;
    }

    load_want(c, 0);
}


static void
load_received(load_connection_t *c)
{
    ssize_t      n;
    load_kind_t  kind;

    n = recv(c->fd, c->answer + c->len, LOAD_ANSWER - 1 - c->len, 0);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n <= 0) {
        errno = n ? errno : ECONNRESET;
        load_die("an answer is cut off, or too long");
    }

    c->len += n;
    c->answer[c->len] = '\0';

    if (!load_complete(c, &kind)) {
        return;
    }

    load_count(&kind);
    load_latencies[load_answered++] = load_time() - c->start;

    /* answered before all was sent: the rest belongs to nothing */

    if (c->sent < load_head_len + load_tail_len) {
        c->close = 1;
    }

    load_next(c);
}


static int
load_complete(load_connection_t *c, load_kind_t *kind)
{
    char    *body, *field;
    size_t   length;

    body = strstr(c->answer, "\r\n\r\n");

    if (body == NULL) {
        return 0;
    }

    body += 4;
    kind->status = strtoul(c->answer + sizeof("HTTP/1.1"), NULL, 10);

    field = load_field(c->answer, "\r\nConnection:");
    c->close = (field && strncasecmp(field, "close", 5) == 0);

    field = load_field(c->answer, "\r\nContent-Length:");

    if (field) {
        length = strtoul(field, NULL, 10);
        kind->length = length;

        return (size_t) (c->answer + c->len - body) >= length;
    }

    if (load_field(c->answer, "\r\nTransfer-Encoding:") == NULL) {
        fprintf(stderr, "load: an answer without a length\n");
        exit(1);
    }

    kind->length = strtoul(body, NULL, 16);

    return c->len >= 5
           && memcmp(c->answer + c->len - 5, "0\r\n\r\n", 5) == 0;
}


static char *
load_field(char *head, const char *name)
{
    char  *value;

    value = strcasestr(head, name);
    if (value == NULL) {
        return NULL;
    }

    value += strlen(name);

    return value + strspn(value, " ");
}


static void
load_count(load_kind_t *kind)
{
    int  i;

    for (i = 0; i < LOAD_KINDS; i++) {

        if (load_kinds[i].count == 0) {
            load_kinds[i] = *kind;
            load_kinds[i].count = 1;
            return;
        }

        if (load_kinds[i].status == kind->status
            && load_kinds[i].length == kind->length)
        {
            load_kinds[i].count++;
            return;
        }
    }

    fprintf(stderr, "load: too many kinds of answers\n");
    exit(1);
}


static int
load_compare(const void *one, const void *two)
{
    float  a = *(const float *) one, b = *(const float *) two;

    return (a > b) - (a < b);
}


static void
load_report(double seconds, load_usage_t *from, load_usage_t *to)
{
    int     i;
    size_t  n;

    n = load_answered;
    qsort(load_latencies, n, sizeof(float), load_compare);

    printf("{\"requests\":%zu,\"seconds\":%.6f,\"p50\":%.6f,\"p99\":%.6f,"
           "\"run\":%llu,\"wait\":%llu,\"reconnects\":%zu,\"answers\":{",
           n, seconds, load_latencies[n / 2], load_latencies[n - 1 - n / 100],
           to->run - from->run, to->wait - from->wait, load_reconnects);

    for (i = 0; i < LOAD_KINDS && load_kinds[i].count; i++) {
        printf("%s\"%u/%zu\":%zu", i ? "," : "", load_kinds[i].status,
               load_kinds[i].length, load_kinds[i].count);
    }

    printf("}}\n");
}


int
main(int argc, char **argv)
{
    int                 i, n;
    double              start, seconds;
    size_t              k;
    cpu_set_t           set;
    load_usage_t        from, to;
    load_connection_t  *c;
    struct epoll_event  events[256];

    load_options(argc, argv);

    if (load_cpu != -1) {
        CPU_ZERO(&set);
        CPU_SET(load_cpu, &set);

        if (sched_setaffinity(0, sizeof(set), &set) == -1) {
            load_die("sched_setaffinity");
        }
    }

    load_tail = load_read(argv[optind], &load_tail_len);
    load_key();
    load_prepare();

    load_pool = calloc(load_connections, sizeof(load_connection_t));
    load_epoll = epoll_create1(EPOLL_CLOEXEC);

    if (load_pool == NULL || load_epoll == -1) {
        load_die("epoll");
    }

    for (k = 0; k < load_connections; k++) {
        load_connect(&load_pool[k]);
    }

    /* the connections are accepted meanwhile */

    usleep(10000);

    from = load_usage();
    start = load_time();

    for (k = 0; k < load_connections; k++) {
        load_next(&load_pool[k]);
    }

    while (load_answered < load_requests) {
        n = epoll_wait(load_epoll, events, 256, LOAD_PATIENCE * 1000);

        if (n <= 0) {
            errno = n ? errno : ETIMEDOUT;
            load_die("epoll_wait");
        }

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (events[i].events & EPOLLOUT) {
                load_write(c);
            }

            if (events[i].events & ~EPOLLOUT) {
                load_received(c);
            }
        }
    }

    seconds = load_time() - start;

    /* the kernel counts a slice when it is over */

    usleep(5000);

    to = load_usage();
    load_report(seconds, &from, &to);

    return 0;
}
