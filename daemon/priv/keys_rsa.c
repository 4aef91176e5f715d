// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Private RSA keys. GnuTLS reads the file, libgcrypt computes; blinding is
 * libgcrypt's, and so is the check of each signature before it is given out.
 */
#include "priv/keys_rsa.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ike/crypt.h"
#include "ike/tunnel.h"
#include "wire/isakmp.h"

#define FILE_MAX (64 * 1024)

/** struct parts - a private key in parts, as GnuTLS has them */
struct parts {
	gnutls_datum_t n, e, d, p, q, u, e1, e2;
};

void moat_key_id(struct moat_view n, uint8_t id[MOAT_KEY_ID_LEN])
{
	while (n.len && !n.data[0])
		n = moat_view(n.data + 1, n.len - 1);
	if (moat_hash(MOAT_HASH_SHA256, &n, 1, id))
		abort();
}

static ssize_t read_all(int fd, uint8_t *buf, size_t size)
{
	size_t done = 0;
	ssize_t got;

	while (done < size && (got = read(fd, buf + done, size - done)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		done += got;
	}
	return done;
}

static const char *import(gnutls_x509_privkey_t key, uint8_t *text, size_t len)
{
	gnutls_datum_t datum = { text, len };
	bool pem = memmem(text, len, "-----BEGIN", 10) != NULL;
	int ret = gnutls_x509_privkey_import2(
		key, &datum, pem ? GNUTLS_X509_FMT_PEM : GNUTLS_X509_FMT_DER, NULL, 0);

	if (ret == GNUTLS_E_DECRYPTION_FAILED || memmem(text, len, "ENCRYPTED", 9))
		return "is encrypted with a password, and nobody can be asked for it: "
		       "decrypt it with openssl rsa -in FILE -out NEWFILE";
	if (ret)
		return "holds no private key that could be read: expected PEM, PKCS #1 "
		       "(BEGIN RSA PRIVATE KEY) or PKCS #8 (BEGIN PRIVATE KEY)";
	if (gnutls_x509_privkey_get_pk_algorithm(key) != GNUTLS_PK_RSA)
		return "holds a key that is not RSA";
	return NULL;
}

static gcry_mpi_t scan(const gnutls_datum_t *datum)
{
	gcry_mpi_t mpi = NULL;

	if (gcry_mpi_scan(&mpi, GCRYMPI_FMT_USG, datum->data, datum->size, NULL))
		abort();
	return mpi;
}

/* Does @d take back what @e does? libgcrypt's test asks for n = p * q alone. */
static bool takes_back(gcry_mpi_t d, gcry_mpi_t e, gcry_mpi_t prime)
{
	gcry_mpi_t order = gcry_mpi_snew(0);
	gcry_mpi_t product = gcry_mpi_snew(0);
	bool one = false;

	gcry_mpi_sub_ui(order, prime, 1);
	/* The numbers of a file may be any: nothing can be divided by zero. */
	if (gcry_mpi_cmp_ui(order, 0) > 0) {
		gcry_mpi_mulm(product, d, e, order);
		one = !gcry_mpi_cmp_ui(product, 1);
	}
	gcry_mpi_release(order);
	gcry_mpi_release(product);
	return one;
}

/* libgcrypt wants p < q and u = 1 / p mod q. */
static gcry_sexp_t make_sexp(const struct parts *parts)
{
	gcry_mpi_t n = scan(&parts->n), e = scan(&parts->e), d = scan(&parts->d);
	gcry_mpi_t p = scan(&parts->p), q = scan(&parts->q);
	gcry_mpi_t u = gcry_mpi_snew(0);
	gcry_sexp_t sexp = NULL;

	if (gcry_mpi_cmp(p, q) > 0)
		gcry_mpi_swap(p, q);
	if (gcry_mpi_invm(u, p, q) && takes_back(d, e, p) && takes_back(d, e, q) &&
	    gcry_sexp_build(&sexp, NULL,
			    "(private-key(rsa(n %m)(e %m)(d %m)(p %m)(q %m)(u %m)))", n,
			    e, d, p, q, u))
		sexp = NULL;
	gcry_mpi_release(n);
	gcry_mpi_release(e);
	gcry_mpi_release(d);
	gcry_mpi_release(p);
	gcry_mpi_release(q);
	gcry_mpi_release(u);
	if (sexp && gcry_pk_testkey(sexp)) {
		gcry_sexp_release(sexp);
		sexp = NULL;
	}
	return sexp;
}

static void free_parts(struct parts *parts)
{
	gnutls_datum_t *all[] = { &parts->n, &parts->e, &parts->d,  &parts->p,
				  &parts->q, &parts->u, &parts->e1, &parts->e2 };

	for (unsigned int i = 0; i < 8; i++) {
		if (all[i]->data)
			explicit_bzero(all[i]->data, all[i]->size);
		gnutls_free(all[i]->data);
	}
}

static const char *add_key(struct moat_rsa_keys *keys, gnutls_x509_privkey_t private,
			   const struct moat_key_conf *conf)
{
	struct moat_rsa_key key = { .decrypt = conf->decrypt };
	struct parts p = { 0 };
	struct moat_view n;

	if (gnutls_x509_privkey_export_rsa_raw2(private, &p.n, &p.e, &p.d, &p.p, &p.q,
						&p.u, &p.e1, &p.e2))
		return "holds no whole RSA key";
	n = moat_view(p.n.data, p.n.size);
	while (n.len && !n.data[0])
		n = moat_view(n.data + 1, n.len - 1);
	moat_key_id(n, key.id);
	key.len = n.len;
	if (!memcmp(key.id, conf->id, sizeof(key.id))) {
		struct moat_view d = moat_view(p.d.data, p.d.size);

		key.sexp = make_sexp(&p);
		if (moat_hash(MOAT_HASH_SHA256, &d, 1, key.refusal))
			abort();
	}
	free_parts(&p);
	if (memcmp(key.id, conf->id, sizeof(key.id)))
		return "is not the key of the certificate that cert names";
	if (!key.sexp)
		return "holds numbers that are no RSA key";
	keys->list = reallocarray(keys->list, keys->n + 1, sizeof(*keys->list));
	if (!keys->list)
		abort();
	keys->list[keys->n++] = key;
	return NULL;
}

void moat_rsa_keys_read(struct moat_rsa_keys *keys, int fd,
			const struct moat_key_conf *conf, struct moat_mistakes *mistakes)
{
	gnutls_x509_privkey_t private;
	uint8_t *text = calloc(1, FILE_MAX);
	const char *why;
	ssize_t len;

	if (!text || gnutls_x509_privkey_init(&private))
		abort();
	len = read_all(fd, text, FILE_MAX);
	if (len <= 0 || len == FILE_MAX)
		why = len < 0 ? strerror(errno) : "is empty, or longer than any key";
	else
		why = import(private, text, len);
	if (!why)
		why = add_key(keys, private, conf);
	if (why)
		moat_mistake(mistakes, conf->file, conf->line, "key \"%s\" %s",
			     conf->path, why);
	gnutls_x509_privkey_deinit(private);
	explicit_bzero(text, FILE_MAX);
	free(text);
}

const struct moat_rsa_key *moat_rsa_keys_find(const struct moat_rsa_keys *keys,
					      const uint8_t id[MOAT_KEY_ID_LEN])
{
	for (unsigned int i = 0; i < keys->n; i++) {
		if (!memcmp(keys->list[i].id, id, MOAT_KEY_ID_LEN))
			return &keys->list[i];
	}
	return NULL;
}

/* An integer of a result, padded on the left. */
static int take_number(gcry_sexp_t result, const char *name, uint8_t *out, size_t len)
{
	gcry_sexp_t part = gcry_sexp_find_token(result, name, 0);
	gcry_mpi_t mpi = part ? gcry_sexp_nth_mpi(part, 1, GCRYMPI_FMT_USG) : NULL;
	size_t used = 0;
	int ret = -1;

	memset(out, 0, len);
	if (mpi && !gcry_mpi_print(GCRYMPI_FMT_USG, NULL, 0, &used, mpi) && used <= len &&
	    !gcry_mpi_print(GCRYMPI_FMT_USG, out + len - used, used, NULL, mpi))
		ret = 0;
	gcry_mpi_release(mpi);
	gcry_sexp_release(part);
	return ret;
}

int moat_rsa_sign(const struct moat_rsa_key *key, struct moat_view hash, uint8_t *out)
{
	uint8_t block[MOAT_RSA_MAX];
	gcry_sexp_t data = NULL, result = NULL;
	int ret = -1;

	if (key->decrypt || key->len > sizeof(block) ||
	    moat_rsa_signature_block(hash, block, key->len))
		return -1;
	if (!gcry_sexp_build(&data, NULL, "(data(flags raw)(value %b))", (int)key->len,
			     block) &&
	    !gcry_pk_sign(&result, data, key->sexp))
		ret = take_number(result, "s", out, key->len);
	gcry_sexp_release(data);
	gcry_sexp_release(result);
	return ret;
}

/* All ones when @a < @b, else 0; both below 2^31. */
static uint32_t less(uint32_t a, uint32_t b)
{
	return -((a - b) >> 31);
}

/*
 * Where the text of a block 00 02 PADDING 00 TEXT begins; @good is all ones, or 0
 * when it is no such block. Every octet is looked at, whatever it is.
 */
static uint32_t find_text(const uint8_t *block, uint32_t len, uint32_t *good)
{
	uint32_t looking = ~0u, at = 0;

	*good = less(block[0], 1) & less(block[1] ^ 2, 1);
	for (uint32_t i = 2; i < len; i++) {
		uint32_t zero = less(block[i], 1);

		at |= looking & zero & (i + 1);
		looking &= ~zero;
	}
	/* A zero was found, behind at least eight octets of padding. */
	*good &= ~looking & ~less(at, 11);
	return at;
}

/* The text is copied from each place that it could begin at, once in earnest. */
static void choose(const uint8_t *block, uint32_t size, const uint8_t *instead,
		   uint32_t low, uint32_t high, uint8_t *out, size_t *len)
{
	uint32_t good, at = find_text(block, size, &good);
	uint32_t length = size - at;

	good &= ~less(length, low) & ~less(high, length);
	length = (length & good) | (MOAT_RSA_REFUSED & ~good);
	for (uint32_t i = 0; i < high; i++) {
		uint32_t octet = 0;

		for (uint32_t j = 0; j < size; j++)
			octet |= block[j] & less(j ^ (at + i), 1);
		octet = (octet & good) | (instead[i % MOAT_RSA_REFUSED] & ~good);
		out[i] = octet;
	}
	*len = length;
}

int moat_rsa_decrypt(const struct moat_rsa_key *key, struct moat_view cipher, size_t low,
		     size_t high, uint8_t *out, size_t *len)
{
	uint8_t block[MOAT_RSA_MAX], instead[MOAT_RSA_REFUSED];
	gcry_sexp_t data = NULL, result = NULL;

	if (!key->decrypt || cipher.len != key->len || key->len > sizeof(block) ||
	    low > MOAT_RSA_REFUSED || high < MOAT_RSA_REFUSED ||
	    moat_prf(MOAT_HASH_SHA256, moat_view(key->refusal, sizeof(key->refusal)),
		     &cipher, 1, instead))
		return -1;
	memset(block, 0, sizeof(block));
	if (gcry_sexp_build(&data, NULL, "(enc-val(flags raw)(rsa(a %b)))",
			    (int)cipher.len, cipher.data))
		return -1;
	/* What is no number below the modulus is refused like bad padding. */
	if (!gcry_pk_decrypt(&result, data, key->sexp))
		take_number(result, "value", block, key->len);
	choose(block, key->len, instead, low, high, out, len);
	gcry_sexp_release(data);
	gcry_sexp_release(result);
	explicit_bzero(block, sizeof(block));
	return 0;
}

size_t moat_rsa_open(const struct moat_rsa_key *key, struct moat_view nonce,
		     struct moat_view id, uint8_t *out)
{
	uint8_t text[4 + MOAT_ID_MAX];
	size_t len = 0, total;

	if (moat_rsa_decrypt(key, nonce, MOAT_NONCE_MIN, MOAT_NONCE_MAX, text, &len))
		return 0;
	moat_set16(out, len);
	memcpy(out + 2, text, len);
	total = 2 + len;
	len = 0;
	/* A whole body: type, protocol and port before the value. */
	if (id.len && moat_rsa_decrypt(key, id, 5, sizeof(text), text, &len))
		return 0;
	moat_set16(out + total, len);
	memcpy(out + total + 2, text, len);
	explicit_bzero(text, sizeof(text));
	return total + 2 + len;
}

void moat_rsa_keys_free(struct moat_rsa_keys *keys)
{
	for (unsigned int i = 0; i < keys->n; i++)
		gcry_sexp_release(keys->list[i].sexp);
	if (keys->list)
		explicit_bzero(keys->list, keys->n * sizeof(*keys->list));
	free(keys->list);
	*keys = (struct moat_rsa_keys){ 0 };
}
