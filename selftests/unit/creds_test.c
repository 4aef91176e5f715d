// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Certificates and RSA keys: what the configuration says about files that do
 * not serve, which keys sign, and which signatures are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_text.h"
#include "ike/crypt.h"
#include "ike/ike1.h"
#include "priv/cert.h"
#include "wire/isakmp.h"

#define CERTS "selftests/certs/"

/* Lines 2 to 5; what is appended begins in line 6. */
#define TUNNEL(name, net, more)                                          \
	name " = {\nlocal = \"192.0.2.2\"\nremote = \"192.0.2.1\"\n"     \
	     "local-net = \"10." net ".2.0/24\"\nremote-net = \"10." net \
	     ".1.0/24\"\n" more "\n}\n"
#define BRANCH(more) "tunnels = {" TUNNEL("branch", "1", more) "}\n"
#define GOOD	     "auth = \"rsa-sig\"\ncert = \"gw-b.pem\"\nkey = \"gw-b.key\"\n"

static void good(void **state)
{
	struct moat_config config = { 0 };
	struct moat_mistakes mistakes = { 0 };
	const struct moat_creds *creds;

	(void)state;
	read_certified(
		&config, &mistakes,
		"tunnels = {" TUNNEL("a", "1",
				     GOOD "ca = [ \"ca.pem\", \"other-ca.pem\" ]\n"
					  "crl = \"crl.pem\"")
			TUNNEL("b", "2",
			       GOOD "ca = [ \"ca.pem\", \"other-ca.pem\" ]\n"
				    "crl = \"crl.pem\"")
				TUNNEL("c", "3",
				       GOOD
				       "remote-cert = \"gw-a-alone.pem\"\nlocal-id = "
				       "\"dn:C=DE, O=Moat test, CN=gw-b\"") "}\n");
	for (unsigned int i = 0; i < mistakes.n; i++)
		print_error("%s\n", mistakes.list[i]);
	assert_int_equal(mistakes.n + mistakes.n_warnings, 0);
	creds = config.tunnels[0]->creds;
	assert_int_equal(config.tunnels[0]->auth, MOAT_METHOD_RSA_SIG);
	assert_int_equal(creds->part[MOAT_CREDS_CERT].n, 1);
	assert_int_equal(creds->part[MOAT_CREDS_CA].n, 2);
	assert_int_equal(creds->part[MOAT_CREDS_CA_NAME].n, 2);
	assert_int_equal(creds->part[MOAT_CREDS_CRL].n, 1);
	/* Read once, held twice; and one private key for all three. */
	assert_ptr_equal(creds, config.tunnels[1]->creds);
	assert_false(moat_creds_same(creds, config.tunnels[2]->creds));
	assert_int_equal(config.n_creds, 2);
	assert_int_equal(config.n_keys, 1);
	assert_int_equal(config.tunnels[2]->local_id.type, MOAT_ID_DER_ASN1_DN);
	moat_config_free(&config);
	moat_mistakes_free(&mistakes);
}

/* What belongs together, and what does not. */
static void together(void **state)
{
	(void)state;
	expect_certified(
		BRANCH("cert = \"gw-b.pem\""),
		"moat.conf:6: cert belongs to auth = \"rsa-sig\", \"rsa-enc\" or "
		"\"rsa-enc-revised\"",
		"none");
	expect_certified(
		BRANCH("auth = \"rsa-sig\""),
		"moat.conf:1: tunnel \"branch\": auth needs cert (our certificate)",
		"none");
	expect_certified(
		BRANCH("auth = \"rsa-sig\"\ncert = \"gw-b.pem\""),
		"moat.conf:1: tunnel \"branch\": auth needs key (the private key of cert)",
		"none");
	expect_certified(
		BRANCH(GOOD),
		"moat.conf:1: tunnel \"branch\": auth needs ca (whose certificates we "
		"trust) or remote-cert (the one certificate of the peer)",
		"none");
	/* Neither would ever be asked. */
	expect_certified(
		BRANCH(GOOD "remote-cert = \"gw-a-alone.pem\"\ncrl = \"crl.pem\""),
		"moat.conf:10: crl needs ca, whose certificates it revokes: remote-cert "
		"alone is trusted without asking a CA",
		"none");
	expect_certified(
		BRANCH("auth = \"rsa-enc\"\ncert = \"enc-b.pem\"\nkey = \"enc-b.key\"\n"
		       "remote-cert = \"enc-a.pem\"\nca = \"ca.pem\""),
		"moat.conf:10: ca belongs to auth = \"rsa-sig\": with encrypted nonces the "
		"peer is who has the key of remote-cert, whoever has signed it",
		"none");
}

/* A key either signs or decrypts; and what is encrypted needs a key to it. */
static void dedicated(void **state)
{
	(void)state;
	expect_certified(
		BRANCH("auth = \"rsa-enc\"\ncert = \"enc-b.pem\"\nkey = \"enc-b.key\"\n"
		       "ca = \"ca.pem\""),
		"moat.conf:1: tunnel \"branch\": auth needs remote-cert (the peer's "
		"certificate, for its key)",
		"none");
	expect_certified(
		BRANCH("auth = \"rsa-enc\"\ncert = \"gw-b.pem\"\nkey = \"gw-b.key\"\n"
		       "remote-cert = \"enc-a.pem\""),
		"moat.conf:7: the certificate of cert: its key usage does not allow key "
		"encipherment",
		"none");
	/* Its certificates let it do both; then the first tunnel decides. */
	expect_certified(
		"tunnels = {" TUNNEL("a", "1",
				     "auth = \"rsa-enc-revised\"\ncert = \"both.pem\"\n"
				     "key = \"gw-b.key\"\nremote-cert = \"enc-a.pem\"")
			TUNNEL("b", "2", GOOD "ca = \"ca.pem\"") "}\n",
		"moat.conf:18: the key \"gw-b.key\" serves rsa-enc at moat.conf:8: "
		"encrypted nonces need a key of their own, which signs nothing",
		"none");
	expect_certified(
		BRANCH("auth = \"rsa-enc\"\ncert = \"enc-b.pem\"\nkey = \"enc-b.key\"\n"
		       "remote-cert = \"enc-a.pem\"\nexchange = \"aggressive\"\n"
		       "ike = [ \"aes128-sha256-ecp256\", \"aes256-sha256-ecp256\" ]"),
		"moat.conf:11: ike has 2 entries, and aggressive mode with encrypted nonces "
		"needs a single one: it encrypts before anything is agreed",
		"none");
}

static void files(void **state)
{
	(void)state;
	expect_certified(
		BRANCH(GOOD "ca = \"nowhere.pem\""),
		"moat.conf:9: ca \"nowhere.pem\" cannot be opened: No such file or "
		"directory",
		"none");
	expect_certified(BRANCH(GOOD "ca = \".\""),
			 "moat.conf:9: ca \".\" is no file of 1 octet to 8 MiB", "none");
	expect_certified(
		BRANCH(GOOD "ca = [ \"ca.pem\", \"gw-a.key\" ]"),
		"moat.conf:9: ca \"gw-a.key\" holds no certificate that could be read: "
		"expected PEM (BEGIN CERTIFICATE) or DER",
		"none");
	expect_certified(
		BRANCH(GOOD "ca = \"ca.pem\"\ncrl = \"ca.pem\""),
		"moat.conf:10: crl \"ca.pem\" holds no revocation list that could be "
		"read: expected PEM (BEGIN X509 CRL) or DER",
		"none");
	expect_certified(BRANCH(GOOD "remote-cert = \"gw-a.pem\""),
			 "moat.conf:9: remote-cert holds 2 certificates, expected one",
			 "none");
	expect_certified(
		BRANCH(GOOD "ca = \"ca.pem\"\ncrl = \"crl-old.pem\""), "none",
		"moat.conf:10: crl \"crl-old.pem\" should have been renewed by now: until "
		"it is, certificates of its CA are refused");
}

static void certificates(void **state)
{
	(void)state;
	expect_certified(
		BRANCH("auth = \"rsa-sig\"\ncert = \"expired.pem\"\nkey = \"gw-b.key\"\n"
		       "ca = \"ca.pem\""),
		"none", "moat.conf:7: the certificate of cert has expired on 2021-01-01");
	expect_certified(
		BRANCH("auth = \"rsa-sig\"\ncert = \"encrypts.pem\"\nkey = \"gw-b.key\"\n"
		       "ca = \"ca.pem\""),
		"moat.conf:7: the certificate of cert: its key usage does not allow "
		"digital signatures",
		"none");
	expect_certified(
		BRANCH("auth = \"rsa-sig\"\ncert = \"short.pem\"\nkey = \"short.key\"\n"
		       "ca = \"ca.pem\""),
		"moat.conf:7: the certificate of cert: its RSA key has less than 2048 "
		"bits: take a longer one, or write weak = true to take it nevertheless",
		"none");
	expect_certified(
		BRANCH("auth = \"rsa-sig\"\ncert = \"short.pem\"\nkey = \"short.key\"\n"
		       "ca = \"ca.pem\"\nweak = true"),
		"none", "none");
	expect_certified(
		BRANCH("auth = \"rsa-sig\"\ncert = \"nameless.pem\"\nkey = \"gw-b.key\"\n"
		       "ca = \"ca.pem\""),
		"moat.conf:7: the certificate of cert does not hold the local-id of "
		"tunnel \"branch\" (its address unless configured): write local-id = "
		"\"dn:C=DE,O=Moat test,CN=gw-b\", or take a certificate with that "
		"subjectAltName",
		"none");
	expect_certified(
		BRANCH("auth = \"rsa-sig\"\ncert = \"comma.pem\"\nkey = \"gw-b.key\"\n"
		       "ca = \"ca.pem\""),
		"moat.conf:7: the certificate of cert does not hold the local-id of "
		"tunnel \"branch\" (its address unless configured): write local-id = "
		"\"dn:C=DE,O=Moat\\\\, Inc.,CN=gw-b\", or take a certificate with that "
		"subjectAltName",
		"none");
	/* What that sentence proposes is taken. */
	expect_certified(
		BRANCH("auth = \"rsa-sig\"\ncert = \"nameless.pem\"\nkey = \"gw-b.key\"\n"
		       "ca = \"ca.pem\"\nlocal-id = \"dn:C=DE,O=Moat test,CN=gw-b\""),
		"none", "none");
	expect_certified(
		BRANCH(GOOD "ca = \"ca.pem\"\nlocal-id = \"dn:gw-b\""),
		"moat.conf:10: local-id: \"dn:gw-b\" is no distinguished name: expected "
		"dn:C=DE, O=Example, CN=gw",
		"none");
}

/* ---- private keys ---- */

/* What @fd holds is said to be @file, and the key of @cert. */
static void read_key_of(struct moat_rsa_keys *keys, int fd, const char *file,
			const char *cert, bool decrypt, const char *mistake)
{
	struct moat_mistakes mistakes = { 0 };
	struct moat_config config = { 0 };
	struct moat_key_conf conf;
	char text[1024];

	snprintf(text, sizeof(text),
		 "tunnels = {" TUNNEL("t", "1",
				      "auth = \"rsa-sig\"\ncert = \"%s\"\nkey = \"%s\"\n"
				      "ca = \"ca.pem\"") "}\n",
		 cert, file);
	read_certified(&config, &mistakes, text);
	assert_int_equal(mistakes.n, 0);
	conf = config.keys[0];
	conf.decrypt = decrypt;
	moat_rsa_keys_read(keys, fd, &conf, &mistakes);
	close(fd);
	assert_string_equal(mistakes.n ? mistakes.list[0] : "none", mistake);
	moat_mistakes_free(&mistakes);
	moat_config_free(&config);
}

static void read_key(struct moat_rsa_keys *keys, const char *file, const char *cert,
		     bool decrypt, const char *mistake)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), CERTS "%s", file);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	read_key_of(keys, fd, file, cert, decrypt, mistake);
}

static void private_keys(void **state)
{
	struct moat_rsa_keys keys = { 0 };

	(void)state;
	read_key(&keys, "gw-b.key", "gw-b.pem", false, "none"); /* PKCS #1 */
	read_key(&keys, "gw-a.key", "gw-b.pem", false,
		 "moat.conf:8: key \"gw-a.key\" is not the key of the certificate that "
		 "cert names");
	read_key(
		&keys, "ca.pem", "gw-b.pem", false,
		"moat.conf:8: key \"ca.pem\" holds no private key that could be read: "
		"expected PEM, PKCS #1 (BEGIN RSA PRIVATE KEY) or PKCS #8 (BEGIN PRIVATE "
		"KEY)");
	read_key(&keys, "ec.key", "gw-b.pem", false,
		 "moat.conf:8: key \"ec.key\" holds a key that is not RSA");
	read_key(&keys, "locked.key", "gw-b.pem", false,
		 "moat.conf:8: key \"locked.key\" is encrypted with a password, and "
		 "nobody can be asked for it: decrypt it with openssl rsa -in FILE -out "
		 "NEWFILE");
	assert_int_equal(keys.n, 1);
	moat_rsa_keys_free(&keys);
}

/** struct numbers - of a key: modulus, exponents, primes, coefficient */
struct numbers {
	gnutls_datum_t n, e, d, p, q, u;
};

static void read_numbers(const char *file, struct numbers *out)
{
	gnutls_x509_privkey_t key;
	gnutls_datum_t text;

	assert_int_equal(gnutls_load_file(file, &text), 0);
	gnutls_x509_privkey_init(&key);
	assert_int_equal(gnutls_x509_privkey_import(key, &text, GNUTLS_X509_FMT_PEM), 0);
	assert_int_equal(gnutls_x509_privkey_export_rsa_raw(key, &out->n, &out->e,
							    &out->d, &out->p, &out->q,
							    &out->u),
			 0);
	gnutls_x509_privkey_deinit(key);
	gnutls_free(text.data);
}

static void free_numbers(struct numbers *numbers)
{
	gnutls_datum_t *all[] = { &numbers->n, &numbers->e, &numbers->d,
				  &numbers->p, &numbers->q, &numbers->u };

	for (unsigned int i = 0; i < 6; i++)
		gnutls_free(all[i]->data);
}

/* A file with these numbers is said to be the key of gw-b.pem. */
static void read_made(const struct numbers *m, const char *mistake)
{
	struct moat_rsa_keys keys = { 0 };
	gnutls_x509_privkey_t key;
	gnutls_datum_t der;
	int fds[2];

	gnutls_x509_privkey_init(&key);
	assert_int_equal(gnutls_x509_privkey_import_rsa_raw(key, &m->n, &m->e, &m->d,
							    &m->p, &m->q, &m->u),
			 0);
	assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_DER, &der), 0);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], der.data, der.size), der.size);
	close(fds[1]);
	read_key_of(&keys, fds[0], "gw-b.key", "gw-b.pem", false, mistake);
	moat_rsa_keys_free(&keys);
	gnutls_free(der.data);
	gnutls_x509_privkey_deinit(key);
}

/* What neither signs nor decrypts is found when it is read, not when it is to serve. */
static void no_key(void **state)
{
	static const char no[] =
		"moat.conf:8: key \"gw-b.key\" holds numbers that are no RSA key";
	struct numbers good, other, made;

	(void)state;
	read_numbers(CERTS "gw-b.key", &good);
	read_numbers(CERTS "gw-a.key", &other);
	read_made(&good, "none");
	/* The modulus of the certificate, and all else of another key. */
	made = other;
	made.n = good.n;
	read_made(&made, no);
	/* The primes are right, but the exponent is another one. */
	good.d.data[good.d.size - 64] ^= 1;
	read_made(&good, no);
	free_numbers(&good);
	free_numbers(&other);
}

/* ---- signatures ---- */

static void public_of(const char *file, struct moat_cert_key *key)
{
	static unsigned char text[8192];
	gnutls_datum_t datum = { text, 0 };
	gnutls_x509_crt_t cert;
	FILE *f = fopen(file, "r");

	assert_non_null(f);
	datum.size = fread(text, 1, sizeof(text), f);
	fclose(f);
	gnutls_x509_crt_init(&cert);
	assert_int_equal(gnutls_x509_crt_import(cert, &datum, GNUTLS_X509_FMT_PEM), 0);
	assert_null(moat_cert_key(cert, false, key));
	gnutls_x509_crt_deinit(cert);
}

/* A private operation on any block: what a forger could make who had the key. */
static void sign_block(const struct moat_rsa_key *key, const uint8_t *block, uint8_t *out)
{
	gcry_sexp_t data, result, s;
	gcry_mpi_t mpi;

	assert_int_equal(gcry_sexp_build(&data, NULL, "(data(flags raw)(value %b))", 256,
					 block),
			 0);
	assert_int_equal(gcry_pk_sign(&result, data, key->sexp), 0);
	s = gcry_sexp_find_token(result, "s", 0);
	mpi = gcry_sexp_nth_mpi(s, 1, GCRYMPI_FMT_USG);
	memset(out, 0, 256);
	assert_int_equal(gcry_mpi_print(GCRYMPI_FMT_USG,
					out + 256 - (gcry_mpi_get_nbits(mpi) + 7) / 8,
					256, NULL, mpi),
			 0);
	gcry_mpi_release(mpi);
	gcry_sexp_release(s);
	gcry_sexp_release(result);
	gcry_sexp_release(data);
}

/* Any block, under the public key. */
static void encrypt_block(const struct moat_cert_key *public, const uint8_t *block,
			  uint8_t *out)
{
	gcry_mpi_t n, e, m;
	size_t len;

	gcry_mpi_scan(&n, GCRYMPI_FMT_USG, public->public.n.data, public->public.n.len,
		      NULL);
	gcry_mpi_scan(&e, GCRYMPI_FMT_USG, public->public.e.data, public->public.e.len,
		      NULL);
	gcry_mpi_scan(&m, GCRYMPI_FMT_USG, block, 256, NULL);
	gcry_mpi_powm(m, m, e, n);
	len = (gcry_mpi_get_nbits(m) + 7) / 8;
	memset(out, 0, 256);
	assert_int_equal(gcry_mpi_print(GCRYMPI_FMT_USG, out + 256 - len, len, NULL, m),
			 0);
	gcry_mpi_release(n);
	gcry_mpi_release(e);
	gcry_mpi_release(m);
}

static int verify_block(const struct moat_rsa_key *key,
			const struct moat_cert_key *public, struct moat_view hash,
			const uint8_t *block)
{
	uint8_t signature[256];

	sign_block(key, block, signature);
	return moat_rsa_verify(&public->public, hash, moat_view(signature, 256));
}

static void signatures(void **state)
{
	struct moat_rsa_keys keys = { 0 };
	uint8_t hash[32], block[256], bad[256], signature[MOAT_RSA_MAX];
	struct moat_view h = moat_view(hash, sizeof(hash));
	struct moat_cert_key public;

	(void)state;
	memset(hash, 0x5a, sizeof(hash));
	read_key(&keys, "gw-b.key", "gw-b.pem", false, "none");
	public_of(CERTS "gw-b.pem", &public);
	assert_int_equal(keys.list[0].len, 256);
	assert_int_equal(moat_rsa_sign(&keys.list[0], h, signature), 0);
	assert_int_equal(moat_rsa_verify(&public.public, h, moat_view(signature, 256)),
			 0);
	assert_int_equal(moat_rsa_verify(&public.public, h, moat_view(signature, 255)),
			 -1);
	assert_int_equal(moat_rsa_verify(&public.public, moat_view(hash, 20),
					 moat_view(signature, 256)),
			 -1);
	signature[100] ^= 1;
	assert_int_equal(moat_rsa_verify(&public.public, h, moat_view(signature, 256)),
			 -1);
	/* Made by hand, the right block is taken, and no other. */
	assert_int_equal(moat_rsa_signature_block(h, block, 256), 0);
	assert_memory_equal(block, "\x00\x01\xff", 3);
	assert_int_equal(verify_block(&keys.list[0], &public, h, block), 0);
	for (unsigned int at = 0; at < 256; at += at < 16 || at > 210 ? 1 : 25) {
		memcpy(bad, block, 256);
		bad[at] ^= at ? 0x40 : 0x20;
		assert_int_equal(verify_block(&keys.list[0], &public, h, bad), -1);
	}
	/* Little padding, the hash in front, and garbage behind it. */
	memset(bad, 0x77, sizeof(bad));
	memcpy(bad, block, 10);
	bad[10] = 0;
	memcpy(bad + 11, hash, sizeof(hash));
	assert_int_equal(verify_block(&keys.list[0], &public, h, bad), -1);
	/* A block of type 2. */
	memcpy(bad, block, 256);
	bad[1] = 2;
	assert_int_equal(verify_block(&keys.list[0], &public, h, bad), -1);
	/* A key that is for encrypted nonces signs nothing. */
	keys.list[0].decrypt = true;
	assert_int_equal(moat_rsa_sign(&keys.list[0], h, signature), -1);
	moat_rsa_keys_free(&keys);
}

/*
 * Texts of all lengths come back; whatever is no block of type 2 gives another
 * text, the same for the same octets, and not an error.
 */
static void decryption(void **state)
{
	struct moat_rsa_keys keys = { 0 };
	struct moat_rsa_key *key;
	uint8_t text[256], padding[256], cipher[256], out[256], again[256], block[256];
	struct moat_cert_key public;
	size_t len = 0;

	(void)state;
	memset(text, 0x33, sizeof(text));
	memset(padding, 0xaa, sizeof(padding));
	read_key(&keys, "gw-b.key", "gw-b.pem", true, "none");
	key = &keys.list[0];
	public_of(CERTS "gw-b.pem", &public);
	for (size_t n = 8; n <= 245; n += 79) {
		text[n - 1] = (uint8_t)n;
		assert_int_equal(moat_rsa_encrypt(&public.public, moat_view(text, n),
						  moat_view(padding, 253 - n), cipher),
				 0);
		assert_int_equal(moat_rsa_decrypt(key, moat_view(cipher, 256), 8, 256,
						  out, &len),
				 0);
		assert_int_equal(len, n);
		assert_memory_equal(out, text, n);
	}
	assert_int_equal(moat_rsa_encrypt(&public.public, moat_view(text, 246),
					  moat_view(padding, 7), cipher),
			 -1);
	for (unsigned int i = 0; i < 6; i++) {
		/* No zero; early zero; short text; long text; type 1; not 0 first. */
		static const struct {
			unsigned int at;
			uint8_t octet;
			size_t max;
		} faults[] = { { 3, 1, 100 },  { 9, 0, 256 }, { 250, 0, 100 },
			       { 20, 0, 100 }, { 1, 1, 100 }, { 0, 1, 100 } };

		memset(block, 0x77, sizeof(block));
		block[0] = 0;
		block[1] = 2;
		if (i > 3)
			block[200] = 0;
		block[faults[i].at] = faults[i].octet;
		encrypt_block(&public, block, cipher);
		assert_int_equal(moat_rsa_decrypt(key, moat_view(cipher, 256), 8,
						  faults[i].max, out, &len),
				 0);
		assert_int_equal(len, MOAT_RSA_REFUSED);
		assert_int_equal(moat_rsa_decrypt(key, moat_view(cipher, 256), 8,
						  faults[i].max, again, &len),
				 0);
		assert_memory_equal(out, again, MOAT_RSA_REFUSED);
		assert_memory_not_equal(out, block + 21, MOAT_RSA_REFUSED);
	}
	/* More than the modulus, which is no ciphertext at all. */
	memset(cipher, 0xff, sizeof(cipher));
	assert_int_equal(moat_rsa_decrypt(key, moat_view(cipher, 256), 8, 100, out, &len),
			 0);
	assert_int_equal(len, MOAT_RSA_REFUSED);
	assert_int_equal(moat_rsa_decrypt(key, moat_view(cipher, 255), 8, 100, out, &len),
			 -1);
	/* A key that signs opens nothing. */
	key->decrypt = false;
	assert_int_equal(moat_rsa_decrypt(key, moat_view(cipher, 256), 8, 100, out, &len),
			 -1);
	moat_rsa_keys_free(&keys);
}

static void unfit(void **state)
{
	struct moat_cert_key good_key, key;
	uint8_t three = 3;

	(void)state;
	public_of(CERTS "gw-b.pem", &good_key);
	assert_null(moat_rsa_unfit(&good_key.public, false));
	key = good_key;
	key.public.e = moat_view(&three, 1);
	key.public.n = moat_view(key.buf, 256);
	assert_string_equal(moat_rsa_unfit(&key.public, true),
			    "its RSA exponent is less than 65537, or even");
	key.public.e = good_key.public.e;
	key.buf[255] &= 0xfe;
	assert_string_equal(moat_rsa_unfit(&key.public, true), "its RSA modulus is even");
	key.public.n = moat_view(key.buf, 100);
	assert_string_equal(moat_rsa_unfit(&key.public, true),
			    "its RSA key has less than 1024 bits");
	key.public.n = moat_view(key.buf, 0);
	assert_string_equal(moat_rsa_unfit(&key.public, true), "its RSA key is none");
}

/* Both orders of a name are one, and types of strings do not matter. */
static void names(void **state)
{
	struct moat_identity a, b;
	char text[MOAT_DN_STRLEN];

	(void)state;
	assert_null(moat_identity_parse("dn:C=DE, O=Moat\\, Inc, CN=gw", &a));
	assert_null(moat_identity_parse("dn:CN=gw,O=Moat\\, Inc,C=DE", &b));
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	assert_string_equal(moat_dn_str(moat_view(a.data, a.len), text),
			    "C=DE,O=Moat\\, Inc,CN=gw");
	/* PrintableString to UTF8String. */
	assert_int_equal(a.data[a.len - 4], 0x13);
	a.data[a.len - 4] = 0x0c;
	assert_true(moat_dn_equal(moat_view(a.data, a.len), moat_view(b.data, b.len)));
	a.data[a.len - 1] = 'W';
	assert_false(moat_dn_equal(moat_view(a.data, a.len), moat_view(b.data, b.len)));
	assert_non_null(moat_identity_parse("dn:", &a));
	assert_non_null(moat_identity_parse("dn:bla=gw", &a));
}

/* One whose first part is CN reads as RFC 4514 does, backwards, but for a slash. */
static void turned(void **state)
{
	struct moat_identity a, b;
	char text[MOAT_DN_STRLEN];
	char back[MOAT_DN_STRLEN + 3];

	(void)state;
	assert_null(moat_identity_parse("dn:/CN=gw, O=Moat\\, Inc, C=DE", &a));
	assert_null(moat_identity_parse("dn:C=DE,O=Moat\\, Inc,CN=gw", &b));
	assert_memory_not_equal(a.data, b.data, b.len);
	assert_string_equal(moat_dn_str(moat_view(a.data, a.len), text),
			    "/CN=gw,O=Moat\\, Inc,C=DE");
	snprintf(back, sizeof(back), "dn:%s", text);
	assert_null(moat_identity_parse(back, &b));
	assert_true(moat_identity_equal(&a, &b));
	assert_null(moat_identity_parse("dn:CN=gw", &a));
	assert_string_equal(moat_dn_str(moat_view(a.data, a.len), text), "CN=gw");
	assert_non_null(moat_identity_parse("dn:/C=DE/O=Moat/CN=gw", &a));
}

/* The core, which has no GnuTLS, says the same. */
static void in_the_core(void **state)
{
	static const char *const cases[] = {
		"C=DE,ST=HH,L=HH,O=Moat\\, Inc,OU=x,CN=gw,EMAIL=vpn@gw.example",
		"/CN=gw,O=Moat,C=DE",
		"DC=example,CN=gw",
		"CN=gw",
	};
	char text[MOAT_IDENTITY_STRLEN], wanted[MOAT_IDENTITY_STRLEN];
	struct moat_identity id;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		snprintf(wanted, sizeof(wanted), "dn:%s", cases[i]);
		assert_null(moat_identity_parse(wanted, &id));
		assert_string_equal(moat_identity_str(id.type, moat_view(id.data, id.len),
						      text),
				    wanted);
		/* What ends in its middle is none: nothing behind it is read. */
		for (size_t len = 0; len < id.len; len++) {
			uint8_t *part = malloc(len + 1);

			memcpy(part, id.data, len);
			part = realloc(part, len ? len : 1);
			moat_identity_str(id.type, moat_view(part, len), text);
			assert_non_null(strstr(text, "DN \""));
			free(part);
		}
	}
	assert_null(moat_identity_parse("dn:UID=x,CN=gw", &id));
	assert_non_null(strstr(
		moat_identity_str(id.type, moat_view(id.data, id.len), text), "DN \""));
}

/* One part has three names. */
static void mail(void **state)
{
	static const char *const cases[] = {
		"dn:C=DE, CN=E\\,E, emailAddress=vpn@gw.example",
		"dn:C=DE,CN=E\\,E,EMAIL=vpn@gw.example",
		"dn:E=vpn@gw.example, CN=E\\,E, C=DE",
	};
	struct moat_identity id[3];
	char text[MOAT_DN_STRLEN];

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		assert_null(moat_identity_parse(cases[i], &id[i]));
		assert_true(moat_identity_equal(&id[i], &id[0]));
	}
	assert_string_equal(moat_dn_str(moat_view(id[0].data, id[0].len), text),
			    "C=DE,CN=E\\,E,EMAIL=vpn@gw.example");
	assert_non_null(moat_identity_parse("dn:CN=gw, E", &id[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),		cmocka_unit_test(together),
		cmocka_unit_test(dedicated),	cmocka_unit_test(files),
		cmocka_unit_test(certificates), cmocka_unit_test(private_keys),
		cmocka_unit_test(signatures),	cmocka_unit_test(decryption),
		cmocka_unit_test(unfit),	cmocka_unit_test(names),
		cmocka_unit_test(turned),	cmocka_unit_test(mail),
		cmocka_unit_test(in_the_core),	cmocka_unit_test(no_key),
	};

	if (moat_crypt_init())
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
