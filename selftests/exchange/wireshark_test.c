// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What two cores say, as Wireshark reads it with the key that the key log names:
 * an outside check of SKEYID_e, its expansion, and the IVs of both phases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"
#include "wire/isakmp.h"

#define LINKTYPE_IPV4 228
#define HEADERS	      28 /* of IPv4 and UDP */

static void put32(FILE *f, uint32_t v)
{
	fwrite(&v, sizeof(v), 1, f);
}

/* A file of packets in the host's byte order; checksums are not looked at. */
static void put_packet(FILE *f, unsigned int second, int to, const uint8_t *data,
		       size_t len)
{
	uint8_t h[HEADERS] = { 0x45, [8] = 64, 17, [12] = 192, 0, 2, [16] = 192, 0, 2 };

	moat_set16(h + 2, (uint16_t)(HEADERS + len));
	h[15] = to ? 1 : 2;
	h[19] = to ? 2 : 1;
	moat_set16(h + 20, 500);
	moat_set16(h + 22, 500);
	moat_set16(h + 24, (uint16_t)(8 + len));
	put32(f, second);
	put32(f, 0);
	put32(f, (uint32_t)(HEADERS + len));
	put32(f, (uint32_t)(HEADERS + len));
	fwrite(h, sizeof(h), 1, f);
	fwrite(data, len, 1, f);
}

static void write_capture(const struct sim *sim, const char *path)
{
	FILE *f = fopen(path, "w");
	const uint8_t *data;
	size_t len;
	int to;

	assert_non_null(f);
	put32(f, 0xa1b2c3d4);
	put32(f, 4 << 16 | 2);
	put32(f, 0);
	put32(f, 0);
	put32(f, 65535);
	put32(f, LINKTYPE_IPV4);
	for (unsigned int i = 0; (data = sim_datagram(sim, i, &len, &to)); i++)
		put_packet(f, i, to, data, len);
	assert_int_equal(fclose(f), 0);
}

static void hex(char *to, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		snprintf(to + 2 * i, 3, "%02x", data[i]);
}

/* What tshark finds in the capture: exchange and identities of both phases. */
static void read_with_tshark(const char *path, struct sim *sim, bool spoil, char *out,
			     size_t size)
{
	struct moat_view named = sim_key(sim, 0);
	struct moat_isakmp_view view;
	uint8_t key[MOAT_KEYLOG_MAX];
	char cookie[17], keyhex[2 * MOAT_KEYLOG_MAX + 1], command[512];
	size_t used;
	FILE *f;

	assert_true(moat_ike_isakmp(sim_core(sim, 0), 0, &view));
	memcpy(key, named.data, named.len);
	key[0] ^= spoil;
	hex(cookie, view.cookies[0], 8);
	hex(keyhex, key, named.len);
	snprintf(command, sizeof(command),
		 "tshark -n -r %s -o 'uat:ikev1_decryption_table:%s,%s' -T fields "
		 "-e isakmp.exchangetype -e isakmp.id.data.ipv4_addr "
		 "2>&1",
		 path, cookie, keyhex);
	f = popen(command, "r");
	assert_non_null(f);
	used = fread(out, 1, size - 1, f);
	out[used] = '\0';
	if (pclose(f))
		fail_msg("tshark says: %s", out);
}

static void one(const char *ike, bool aggressive, bool spoil, char *out, size_t size)
{
	struct sim_options o = {
		.seed = 1,
		.nets = 1,
		.aggressive = aggressive,
		.ike = { ike, ike },
		.psk = { "a secret", "a secret" },
	};
	char path[] = "/tmp/moat-wireshark.XXXXXX";
	int fd = mkstemp(path);
	struct sim *sim;

	assert_true(fd >= 0);
	close(fd);
	sim = sim_new(&o);
	sim_keylog(sim, 0, true);
	sim_run(sim, 100);
	sim_up(sim, 0);
	sim_run(sim, 5000);
	assert_int_equal(sim_done(sim, 0), 1);
	write_capture(sim, path);
	read_with_tshark(path, sim, spoil, out, size);
	unlink(path);
	sim_free(sim);
}

/* Identities of messages 5 and 6, and of quick mode's first two. */
static void decrypted(void **state)
{
	static const struct {
		const char *ike;
		bool aggressive;
	} cases[] = {
		{ "aes256-sha512-ecp521", false },
		{ "aes128-sha256-ecp256", false },
		/* SKEYID_e is shorter than the key: RFC 2409 appendix B */
		{ "aes256-sha1-modp2048", false },
		{ "aes192-md5-modp1536", false },
		{ "3des-md5-modp1536", false },
		{ "3des-sha1-ecp384", false },
		{ "aes192-sha384-ecp384", false },
		{ "aes256-sha1-modp2048", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[4096];

		one(cases[i].ike, cases[i].aggressive, false, out, sizeof(out));
		if (!cases[i].aggressive) {
			assert_non_null(strstr(out, "2\t192.0.2.1\n"));
			assert_non_null(strstr(out, "2\t192.0.2.2\n"));
		}
		assert_non_null(strstr(out, "32\t10.1.0.0,10.2.0.0\n"));
	}
}

/* With a key of which one bit is wrong none of that is there. */
static void not_decrypted(void **state)
{
	char out[4096];

	(void)state;
	one("aes128-sha256-ecp256", false, true, out, sizeof(out));
	assert_null(strstr(out, "192.0.2.1"));
	assert_null(strstr(out, "10.1.0.0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decrypted),
		cmocka_unit_test(not_decrypted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
