// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A numbered flow of UDP in both directions: says "ready" when it listens, sends
 * RATE datagrams a second, each with TOKEN in it, from LOCAL to REMOTE from a line on
 * its standard input until SIGTERM, notes which numbers come from there until none has
 * come for 8 s, and says how many it sent and which it heard.
 *
 *	flow LOCAL REMOTE PORT RATE TOKEN
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define NUMBERS	   (1u << 24)
#define AFTERWARDS 8000000000ll
#define RECEIVE	   (64 << 20)

static volatile sig_atomic_t over;
static uint8_t heard[NUMBERS / 8];
static uint32_t n_heard, highest, repeated, late;

static void stop(int sig)
{
	(void)sig;
	over = 1;
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int opened(char **argv)
{
	struct sockaddr_in here = { .sin_family = AF_INET }, there = here;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int size = RECEIVE;

	here.sin_port = there.sin_port = htons((uint16_t)atoi(argv[3]));
	if (fd < 0 || inet_pton(AF_INET, argv[1], &here.sin_addr) != 1 ||
	    inet_pton(AF_INET, argv[2], &there.sin_addr) != 1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (struct sockaddr *)&here, sizeof(here)) ||
	    connect(fd, (struct sockaddr *)&there, sizeof(there))) {
		perror("flow");
		exit(1);
	}
	return fd;
}

/* On a busy machine much is still on its way when the sender has ended. */
static bool hear(int fd)
{
	uint32_t number;
	bool any = false;

	while (recv(fd, &number, sizeof(number), MSG_DONTWAIT) == sizeof(number)) {
		uint8_t bit = (uint8_t)(1 << (number & 7));

		any = true;
		number = number < NUMBERS ? number : 0;
		if (heard[number / 8] & bit) {
			repeated++;
			continue;
		}
		heard[number / 8] |= bit;
		n_heard++;
		late += number < highest;
		highest = number > highest ? number : highest;
	}
	return any;
}

/* What is missing can be compared with the time of what happened. */
static void report(uint32_t sent, uint32_t refused)
{
	bool first = true;

	printf("{\"sent\": %u, \"refused\": %u, \"heard\": %u, \"repeated\": %u, "
	       "\"late\": %u, \"missing\": [",
	       sent, refused, n_heard, repeated, late);
	for (uint32_t i = 0, shown = 0; i < highest && shown < 20; i++) {
		if (heard[i / 8] & 1 << (i & 7))
			continue;
		printf("%s%u", first ? "" : ", ", i);
		first = false;
		shown++;
	}
	puts("]}");
}

int main(int argc, char **argv)
{
	uint32_t sent = 0, refused = 0;
	const struct timespec tick = { .tv_nsec = 5000000 };
	long long begin, gap, end = 0;
	uint8_t packet[64] = { 0 };
	int fd, rate;

	if (argc != 6 || (rate = atoi(argv[4])) < 0 ||
	    strlen(argv[5]) > sizeof(packet) - sizeof(sent)) {
		fputs("usage: flow LOCAL REMOTE PORT RATE TOKEN\n", stderr);
		return 2;
	}
	signal(SIGTERM, stop);
	memcpy(packet + sizeof(sent), argv[5], strlen(argv[5]));
	gap = rate ? 1000000000ll / rate : 0;
	fd = opened(argv);
	puts("ready");
	fflush(stdout);
	if (getchar() == EOF)
		return 1;
	begin = now();
	for (;;) {
		long long t = now();

		if (over && !end)
			end = t + AFTERWARDS;
		if (end && t >= end)
			break;
		while (rate && !end && t >= begin + sent * gap) {
			memcpy(packet, &sent, sizeof(sent));
			if (send(fd, packet, sizeof(packet), 0) < 0)
				refused++;
			else
				sent++;
			/* A machine that stood still is not made to catch up. */
			if (t > begin + (sent + 50) * gap)
				begin = t - sent * gap;
		}
		if (hear(fd) && end)
			end = t + AFTERWARDS;
		nanosleep(&tick, NULL);
	}
	report(sent, refused);
	return 0;
}
