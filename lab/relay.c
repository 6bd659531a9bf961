// SPDX-License-Identifier: Apache-2.0
/*
 * Relays Ethernet frames between a TAP device in one network namespace and a
 * TAP device in another, with delay, jitter, loss and a rate limit for each
 * direction, and records what passes as a nanosecond pcap.
 *
 *   relay NETNS_A NETNS_B DEV MTU PCAP VANTAGE SEED  A-TO-B  B-TO-A
 *
 * NETNS_* are paths of network namespaces; each direction is given as
 * DELAY_US,JITTER_US,LOSS_PPM,RATE_KBIT,QUEUE (RATE_KBIT 0: no limit).
 * VANTAGE a or b says beside which host the recorder sits: a frame lost on the
 * way is in the capture only if the recorder sat beside its sender, as on a
 * real link.  SIGTERM or SIGINT ends the recording.
 *
 * The kernel computes checksums and cuts segments before it hands a frame to
 * a TAP device without offloads, so the recorded frames are what a wire sees.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX = 2048, QUEUE_MAX = 4096, BURST = 64 };

struct frame {
	int64_t due;
	uint32_t len;
	uint8_t data[FRAME_MAX];
};

struct way {
	int in, out;
	int record_at_entry;
	int64_t delay, jitter;
	int64_t rate_kbit;
	uint32_t loss_ppm;
	uint32_t limit;
	int64_t wire_free;	/* when the sender's link has sent the last frame */
	int64_t last_due;
	uint32_t head, count;
	struct frame *ring;
};

static volatile sig_atomic_t stop;
static uint64_t rng_state;
static FILE *pcap;
static int64_t realtime_offset;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static uint64_t next_random(void)
{
	uint64_t z = (rng_state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static double uniform(void)
{
	return (double)(next_random() >> 11) / 9007199254740992.0;
}

static int open_tap(const char *netns, const char *dev)
{
	struct ifreq ifr;
	int ns = open(netns, O_RDONLY | O_CLOEXEC);
	int fd;

	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		die(netns);
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die("/dev/net/tun");
	memset(&ifr, 0, sizeof ifr);
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", dev);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		die("TUNSETIFF");
	return fd;
}

static void parse_way(struct way *w, const char *text)
{
	long long delay, jitter, rate;
	unsigned loss, limit;

	if (sscanf(text, "%lld,%lld,%u,%lld,%u", &delay, &jitter, &loss, &rate, &limit) != 5 ||
	    limit < 1 || limit > QUEUE_MAX) {
		fprintf(stderr, "relay: bad direction %s\n", text);
		exit(2);
	}
	w->delay = delay * 1000;
	w->jitter = jitter * 1000;
	w->loss_ppm = loss;
	w->rate_kbit = rate;
	w->limit = limit;
	w->ring = calloc(limit, sizeof *w->ring);
	if (!w->ring)
		die("calloc");
}

static void record(const uint8_t *data, uint32_t len, int64_t when)
{
	int64_t t = when + realtime_offset;
	uint32_t h[4] = { (uint32_t)(t / 1000000000), (uint32_t)(t % 1000000000), len, len };

	fwrite(h, sizeof h, 1, pcap);
	fwrite(data, len, 1, pcap);
}

static void accept_frame(struct way *w, const uint8_t *data, uint32_t len)
{
	int64_t now = now_ns(), extra;
	struct frame *f;

	if (w->record_at_entry)
		record(data, len, now);
	if (w->count == w->limit || uniform() * 1e6 < w->loss_ppm)
		return;
	if (w->wire_free < now)
		w->wire_free = now;
	if (w->rate_kbit > 0)
		w->wire_free += (int64_t)(len + 24) * 8 * 1000000 / w->rate_kbit;
	/* Queueing noise is skewed: mostly small, now and then several times larger. */
	extra = (int64_t)(w->jitter * uniform() * uniform() * 2);
	f = &w->ring[(w->head + w->count++) % w->limit];
	f->due = w->wire_free + w->delay + extra;
	if (f->due < w->last_due)
		f->due = w->last_due;	/* one queue, so jitter does not reorder */
	w->last_due = f->due;
	f->len = len;
	memcpy(f->data, data, len);
}

static void deliver_due(struct way *w, int64_t now)
{
	while (w->count > 0 && w->ring[w->head].due <= now) {
		struct frame *f = &w->ring[w->head];

		if (!w->record_at_entry)
			record(f->data, f->len, now_ns());
		/* A full or vanished device drops the frame, as a real one does. */
		if (write(w->out, f->data, f->len) < 0 && errno != EAGAIN && errno != EIO)
			die("write");
		w->head = (w->head + 1) % w->limit;
		w->count--;
	}
}

int main(int argc, char **argv)
{
	struct way ways[2] = { { 0 } };
	struct sigaction sa = { .sa_handler = on_signal };
	struct timespec real;
	uint32_t header[6] = { 0xa1b23c4d, 2 | 4 << 16, 0, 0, 65535, 1 };
	uint8_t buf[FRAME_MAX];
	int a, b;

	if (argc != 10) {
		fprintf(stderr, "usage: relay NETNS_A NETNS_B DEV MTU PCAP VANTAGE SEED A-TO-B B-TO-A\n");
		return 2;
	}
	/* Delays are counted in microseconds, so sleeps must not be rounded up. */
	prctl(PR_SET_TIMERSLACK, 1000UL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	if (atoi(argv[4]) + 14 > FRAME_MAX)
		return 2;
	pcap = fopen(argv[5], "wb");
	if (!pcap)
		die(argv[5]);
	fwrite(header, sizeof header, 1, pcap);
	rng_state = strtoull(argv[7], NULL, 10);
	a = open_tap(argv[1], argv[3]);
	b = open_tap(argv[2], argv[3]);
	ways[0].in = ways[1].out = a;
	ways[0].out = ways[1].in = b;
	parse_way(&ways[0], argv[8]);
	parse_way(&ways[1], argv[9]);
	ways[argv[6][0] == 'a' ? 0 : 1].record_at_entry = 1;

	clock_gettime(CLOCK_REALTIME, &real);
	realtime_offset = (int64_t)real.tv_sec * 1000000000 + real.tv_nsec - now_ns();
	puts("ready");
	fflush(stdout);

	while (!stop) {
		struct pollfd fds[2] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };
		int64_t now = now_ns(), wait = 200000000;
		struct timespec ts;

		for (int i = 0; i < 2; i++) {
			deliver_due(&ways[i], now);
			if (ways[i].count > 0 && ways[i].ring[ways[i].head].due - now < wait)
				wait = ways[i].ring[ways[i].head].due - now;
		}
		if (wait < 0)
			wait = 0;
		ts.tv_sec = 0;
		ts.tv_nsec = wait;
		if (ppoll(fds, 2, &ts, NULL) <= 0)
			continue;
		for (int i = 0; i < 2; i++)
			for (int n = 0; n < BURST; n++) {
				ssize_t got = read(ways[i].in, buf, sizeof buf);

				if (got <= 0)
					break;
				accept_frame(&ways[i], buf, (uint32_t)got);
			}
	}
	return fclose(pcap) == 0 ? 0 : 1;
}
