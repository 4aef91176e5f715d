// SPDX-License-Identifier: GPL-2.0-or-later
/* Secrets: who may read them, how they are looked up; files that are none. */
#include "priv/config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_text.h"
#include "priv/guess.h"
#include "priv/secrets.h"
#include "wire/isakmp.h"

static char dir[] = "/tmp/moat-config-test-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void write_file(const char *name, mode_t mode, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static int open_in_dir(void *arg, const char *path, char *why, size_t size)
{
	(void)arg;
	return moat_secrets_open(dir, path, why, size);
}

static void read_secrets(struct moat_secrets *secrets, struct moat_mistakes *mistakes,
			 const char *text)
{
	char why[256];
	int fd;

	write_file("secrets.conf", 0600, text);
	fd = moat_secrets_open(dir, "secrets.conf", why, sizeof(why));
	assert_true(fd >= 0);
	moat_secrets_read(secrets, fd, "secrets.conf", open_in_dir, NULL, mistakes);
}

static void expect_secret_mistakes(const char *text, const char *const *expected)
{
	struct moat_secrets secrets = { 0 };
	struct moat_mistakes mistakes = { 0 };
	unsigned int n = 0;

	read_secrets(&secrets, &mistakes, text);
	for (; n < mistakes.n && expected[n]; n++)
		assert_string_equal(mistakes.list[n], expected[n]);
	assert_int_equal(n, mistakes.n);
	assert_null(expected[n]);
	moat_secrets_free(&secrets);
	moat_mistakes_free(&mistakes);
}

#define EXPECT_SECRET(text, ...) \
	expect_secret_mistakes(text, (const char *const[]){ __VA_ARGS__, NULL })

static void expect_closed(const char *path, const char *expected)
{
	char why[256] = "";

	assert_int_equal(moat_secrets_open(dir, path, why, sizeof(why)), -1);
	assert_non_null(strstr(why, expected));
}

static void test_secret_files(void **state)
{
	(void)state;
	write_file("open.conf", 0640, "");
	expect_closed("open.conf", "others may read it (mode 0640, 0600 was expected)");
	write_file("open.conf", 0604, "");
	expect_closed("open.conf", "others may read it (mode 0604, 0600 was expected)");
	expect_closed("missing.conf", "No such file or directory");
	expect_closed("/etc/shadow", "lies outside");
	expect_closed("../../etc/shadow", "lies outside");
	expect_closed(".", "is no regular file");
}

static void test_secret_owner(void **state)
{
	char path[128];

	(void)state;
	write_file("theirs.conf", 0600, "");
	snprintf(path, sizeof(path), "%s/theirs.conf", dir);
	assert_int_equal(chown(path, 65534, -1), 0);
	expect_closed("theirs.conf", "belongs to user 65534, who may read it (root was "
				     "expected): run chown root");
}

/* One file that would block its reader, and one beyond any sense. */
static void test_odd_files(void **state)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/conf.d", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/moat.conf", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	write_file("conf.d/big.conf", 0600, "");
	snprintf(path, sizeof(path), "%s/conf.d/big.conf", dir);
	assert_int_equal(truncate(path, (16 << 20) + 1), 0);
	assert_false(moat_config_load(&config, dir, &mistakes));
	assert_int_equal(mistakes.n, 2);
	assert_non_null(strstr(mistakes.list[0], "moat.conf: is no regular file"));
	assert_non_null(
		strstr(mistakes.list[1], "big.conf: is larger than 16777216 octets"));
	moat_config_free(&config);
	moat_mistakes_free(&mistakes);
}

static void test_secret_lookup(void **state)
{
	struct moat_secrets secrets = { 0 };
	struct moat_mistakes mistakes = { 0 };
	struct moat_identity id = { 0 }, none = { 0 }, again;
	struct moat_addr a, b;

	(void)state;
	write_file("b.psk", 0600, "of a file\n");
	read_secrets(&secrets, &mistakes,
		     "secrets = (\n{ remote = \"192.0.2.2\", psk = \"of an address\" },\n"
		     "{ remote = \"gw.example.org\", psk-file = \"b.psk\" },\n"
		     "{ remote = \"any\", psk = \"of the rest\" } )");
	expect_none(&mistakes);
	assert_null(moat_identity_parse("gw.example.org", &id));
	moat_addr_parse("192.0.2.2", &a);
	moat_addr_parse("192.0.2.3", &b);
	assert_memory_equal(moat_secrets_find(&secrets, &id, &a)->psk, "of a file", 9);
	assert_int_equal(moat_secrets_find(&secrets, &id, &a)->len, 9);
	assert_memory_equal(moat_secrets_find(&secrets, &none, &a)->psk, "of an address",
			    13);
	assert_memory_equal(moat_secrets_find(&secrets, &none, &b)->psk, "of the rest",
			    11);
	/* As others write it in their files. */
	assert_null(moat_identity_parse("@gw.example.org", &again));
	assert_int_equal(again.type, MOAT_ID_FQDN);
	assert_true(moat_identity_equal(&again, &id));
	assert_null(moat_identity_parse("vpn@gw.example.org", &again));
	assert_int_equal(again.type, MOAT_ID_USER_FQDN);
	assert_non_null(moat_identity_parse("@", &again));
	assert_non_null(moat_identity_parse("@vpn@gw.example.org", &again));
	moat_secrets_free(&secrets);
	moat_mistakes_free(&mistakes);
}

static void test_secret_mistakes(void **state)
{
	(void)state;
	EXPECT_SECRET(
		"secrets = ( { remote = \"192.0.2.2\" } )",
		"secrets.conf:1: a secret needs remote, and either psk or psk-file");
	EXPECT_SECRET("secrets = ( { remote = \"192.0.2.2\", psk = \"\" } )",
		      "secrets.conf:1: psk has 0 octets, it may have 1 to 512");
	EXPECT_SECRET("secrets = ( { remote = \"any\", psk = \"x\", pks = \"y\" } )",
		      "secrets.conf:1: unknown key \"pks\" in a secret, did you mean "
		      "\"psk\"?");
	EXPECT_SECRET("secrets = (\n{ remote = \"any\", psk = \"x\" },\n"
		      "{ remote = \"any\", psk = \"y\" } )",
		      "secrets.conf:3: a secret for \"any\" stands in line 2 already");
	EXPECT_SECRET("secrets = { }",
		      "secrets.conf:1: secrets is no list: expected "
		      "secrets = ( { remote = \"...\", psk = \"...\" } )");
	EXPECT_SECRET("secrets = ( { remote = \"any\", psk-file = \"nowhere\" } )",
		      "secrets.conf:1: psk-file \"nowhere\" cannot be opened: No such "
		      "file or directory");
	EXPECT_SECRET("secrets = ( 5 )", "secrets.conf:1: expected { remote = \"...\", "
					 "psk = \"...\" }");
}

/* What libconfig would make another secret of; the rest stands for what it says. */
static void test_secret_escapes(void **state)
{
	static const char backslash[] =
		"secrets.conf:2: a backslash in a text begins \\n, \\r, \\t, \\f, \\xHH, "
		"\\\" or \\\\: write \\\\ for a backslash";
	struct moat_secrets secrets = { 0 };
	struct moat_mistakes mistakes = { 0 };

	(void)state;
	EXPECT_SECRET(
		"secrets = (\n{ remote = \"any\", psk = \"ab\\x00cd\" } )",
		"secrets.conf:2: \\x00 cannot stand in a text: a secret with a zero "
		"octet goes into a file of its own, psk-file = \"NAME\"");
	EXPECT_SECRET("secrets = (\n{ remote = \"any\", psk = \"ab\\qcd\" } )",
		      backslash);
	EXPECT_SECRET("secrets = (\n{ remote = \"any\", psk = \"ab\\xg0\" } )",
		      backslash);
	EXPECT_SECRET("secrets = (\n{ remote = \"any\", psk = \"ab\\X41\" } )",
		      backslash);
	read_secrets(&secrets, &mistakes,
		     "secrets = ( { remote = \"any\", # \"\\x00\" in a comment\n"
		     "psk = \"a\\\"\\\\x00\\x41\\t\" } )");
	expect_none(&mistakes);
	assert_int_equal(secrets.list[0].len, 8);
	assert_memory_equal(secrets.list[0].psk, "a\"\\x00A\t", 8);
	moat_secrets_free(&secrets);
	moat_mistakes_free(&mistakes);
}

/* Told with its place, and without a word of the secret. */
static void test_secret_guessed(void **state)
{
	struct moat_secrets secrets = { 0 };
	struct moat_mistakes mistakes = { 0 };

	(void)state;
	write_file("weak.psk", 0600, "hunter2hunter2hunter2\n");
	read_secrets(&secrets, &mistakes,
		     "secrets = (\n{ remote = \"192.0.2.2\", psk = \"Passw0rd!\" },\n"
		     "{ remote = \"gw.example.org\", psk-file = \"weak.psk\" },\n"
		     "{ remote = \"any\",\n  psk = \"k52fadzyzd6426fb6mhx\" } )");
	assert_int_equal(mistakes.n, 0);
	assert_int_equal(mistakes.n_warnings, 2);
	assert_string_equal(
		mistakes.warnings[0],
		"secrets.conf:2: the secret for \"192.0.2.2\" can be guessed: it is worth "
		"about 12 bits, and 80 or more were expected; moat genpsk makes one");
	assert_non_null(strstr(mistakes.warnings[1],
			       "secrets.conf:3: the secret for \"gw.example.org\" can"));
	assert_null(strstr(mistakes.warnings[1], "hunter"));
	moat_secrets_free(&secrets);
	moat_mistakes_free(&mistakes);
}

static unsigned int bits(const char *psk)
{
	return moat_psk_bits((const uint8_t *)psk, strlen(psk));
}

static void test_guesses(void **state)
{
	static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
	static const char *const weak[] = {
		"",
		"secret",
		"psk",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"abcdefghijklmnopqrstuvwxyz0123456789",
		"9876543210987654321098765432109876543210",
		"ABCabcABCabcABCabcABCabcABCabcABCabc",
		"MySecretPassword123456",
		"QwertyAsdfYxcv1234567890!",
		"correct horse battery staple",
		"at least twenty random characters",
		"tunnel-branch-to-gateway",
		"31415926535897932384",
		"0123456789abcdef0123456789abcdef",
	};
	static const char *const strong[] = {
		"9f86d081884c7d659a2feaa0c55ad015",
		"k52fadzyzd6426fb6mhx",
		"wK3$vZ9!pQ7@xT2#",
		"gc7JGyXbvI0+gJ5mkP5QAs==",
		"ladder orbit vivid candle tundra maple octave",
	};
	uint32_t seed = 1;

	(void)state;
	for (unsigned int i = 0; i < sizeof(weak) / sizeof(weak[0]); i++) {
		if (bits(weak[i]) >= MOAT_PSK_BITS)
			fail_msg("%s: %u bits", weak[i], bits(weak[i]));
	}
	for (unsigned int i = 0; i < sizeof(strong) / sizeof(strong[0]); i++) {
		if (bits(strong[i]) < MOAT_PSK_BITS)
			fail_msg("%s: %u bits", strong[i], bits(strong[i]));
	}
	/* Nobody is warned of what moat genpsk makes. */
	for (unsigned int i = 0; i < 20000; i++) {
		char psk[41];

		for (unsigned int j = 0; j < 40; j++) {
			seed = seed * 1664525 + 1013904223;
			psk[j] = alphabet[seed >> 27];
		}
		psk[40] = '\0';
		if (bits(psk) < MOAT_PSK_BITS)
			fail_msg("%s: %u bits", psk, bits(psk));
	}
}

static void test_secret_missing(void **state)
{
	struct moat_config config = { 0 };
	struct moat_secrets secrets = { 0 };
	struct moat_mistakes mistakes = { 0 };

	(void)state;
	read_text(&config, &mistakes, "moat.conf", WITH(""), strlen(WITH("")));
	read_secrets(&secrets, &mistakes,
		     "secrets = ( { remote = \"192.0.2.9\", psk = \"x\" } )");
	expect_none(&mistakes);
	moat_secrets_check(&secrets, config.tunnels[0], "secrets.conf", &mistakes);
	assert_int_equal(mistakes.n, 1);
	assert_string_equal(
		mistakes.list[0],
		"moat.conf:1: tunnel \"branch\": no secret for 192.0.2.2: add "
		"{ remote = \"192.0.2.2\", psk = \"...\" } to secrets.conf");
	moat_config_free(&config);
	moat_secrets_free(&secrets);
	moat_mistakes_free(&mistakes);
}

#define PEER(name, net, more)                                                   \
	name " = { local = \"192.0.2.1\"; remote = \"192.0.2.2\"; local-net = " \
	     "\"10.1.0.0/24\"; remote-net = \"" net "\"; " more " }\n"

static void check_peers(const char *text, const char *wrong)
{
	struct moat_config config = { 0 };
	struct moat_secrets secrets = { 0 };
	struct moat_mistakes mistakes = { 0 };

	read_text(&config, &mistakes, "moat.conf", text, strlen(text));
	read_secrets(&secrets, &mistakes,
		     "secrets = ( { remote = \"x.example\", psk = \"0k3vRkTq7b1mXzUw\" },"
		     "{ remote = \"y.example\", psk = \"Zw8sKd03hQpL5nVy\" },"
		     "{ remote = \"z.example\", psk = \"0k3vRkTq7b1mXzUw\" } )");
	expect_none(&mistakes);
	moat_secrets_check_peers(&secrets, config.tunnels, config.n_tunnels, &mistakes);
	if (wrong)
		assert_string_equal(mistakes.n ? mistakes.list[0] : "", wrong);
	assert_int_equal(mistakes.n, wrong ? 1 : 0);
	moat_config_free(&config);
	moat_secrets_free(&secrets);
	moat_mistakes_free(&mistakes);
}

/* RFC 2409 section 5.4: main mode cannot tell by identity whose secret it is. */
static void test_two_secrets_of_a_peer(void **state)
{
	(void)state;
	check_peers(
		"tunnels = {\n" PEER("a", "10.2.0.0/24", "remote-id = \"x.example\"")
			PEER("b", "10.3.0.0/24", "remote-id = \"y.example\"") "}",
		"moat.conf:3: tunnel \"b\": its secret for 192.0.2.2 is another one "
		"than that of tunnel \"a\" (moat.conf:2): in main mode the peer's "
		"address alone chooses the secret, before remote-id is known (RFC 2409 "
		"section 5.4); give both the same one, or use certificates (auth = "
		"\"rsa-sig\")");
	check_peers("tunnels = {\n" PEER("a", "10.2.0.0/24", "remote-id = \"x.example\"")
			    PEER("b", "10.3.0.0/24", "remote-id = \"z.example\"") "}",
		    NULL);
	check_peers("tunnels = {\n" PEER("a", "10.2.0.0/24", "remote-id = \"x.example\"")
			    PEER("b", "10.3.0.0/24",
				 "remote-id = \"y.example\"; exchange = \"aggressive\"; "
				 "weak = true") "}",
		    NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secret_files),
		cmocka_unit_test(test_secret_owner),
		cmocka_unit_test(test_odd_files),
		cmocka_unit_test(test_secret_lookup),
		cmocka_unit_test(test_secret_mistakes),
		cmocka_unit_test(test_secret_escapes),
		cmocka_unit_test(test_secret_guessed),
		cmocka_unit_test(test_guesses),
		cmocka_unit_test(test_secret_missing),
		cmocka_unit_test(test_two_secrets_of_a_peer),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
