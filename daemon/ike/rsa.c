// SPDX-License-Identifier: GPL-2.0-or-later
/* RSA with public keys over libgcrypt; padding is ours, as IKEv1 has its own. */
#include "ike/rsa.h"

#include <gcrypt.h>

#include "ike/crypt.h"

#define BITS_MIN      2048
#define BITS_MIN_WEAK 1024
/* Shorter exponents forgive bad padding; longer ones cost us time. */
#define EXPONENT_MIN	 65537
#define EXPONENT_LEN_MAX 8

static unsigned int bits(struct moat_view n)
{
	unsigned int count = 8 * n.len;

	for (uint8_t top = n.len ? n.data[0] : 0; n.len && !(top & 0x80); top <<= 1)
		count--;
	return count;
}

const char *moat_rsa_unfit(const struct moat_rsa_public *key, bool weak)
{
	uint64_t e = 0;

	if (!key->n.len || !key->n.data[0] || !key->e.len || !key->e.data[0])
		return "its RSA key is none";
	if (bits(key->n) < BITS_MIN_WEAK)
		return "its RSA key has less than 1024 bits";
	if (bits(key->n) < BITS_MIN && !weak)
		return "its RSA key has less than 2048 bits: take a longer one, or write "
		       "weak = true to take it nevertheless";
	if (key->n.len > MOAT_RSA_MAX)
		return "its RSA key has more than 8192 bits";
	if (!(key->n.data[key->n.len - 1] & 1))
		return "its RSA modulus is even";
	if (key->e.len > EXPONENT_LEN_MAX)
		return "its RSA exponent has more than 64 bits";
	for (size_t i = 0; i < key->e.len; i++)
		e = e << 8 | key->e.data[i];
	if (e < EXPONENT_MIN || !(e & 1))
		return "its RSA exponent is less than 65537, or even";
	return NULL;
}

int moat_rsa_signature_block(struct moat_view hash, uint8_t *block, size_t len)
{
	/* At least eight octets of padding, RFC 2313 section 8.1. */
	if (!hash.len || hash.len + 11 > len)
		return -1;
	memset(block, 0xff, len);
	block[0] = 0;
	block[1] = 1;
	block[len - hash.len - 1] = 0;
	memcpy(block + len - hash.len, hash.data, hash.len);
	return 0;
}

static gcry_mpi_t scan(struct moat_view v)
{
	gcry_mpi_t mpi = NULL;

	if (gcry_mpi_scan(&mpi, GCRYMPI_FMT_USG, v.data, v.len, NULL))
		return NULL;
	return mpi;
}

/* out = in ^ e mod n, as many octets as the modulus has. */
static int power(const struct moat_rsa_public *key, struct moat_view in, uint8_t *out)
{
	gcry_mpi_t n = scan(key->n);
	gcry_mpi_t e = scan(key->e);
	gcry_mpi_t m = scan(in);
	size_t len = 0;
	int ret = -1;

	if (n && e && m && gcry_mpi_cmp(m, n) < 0) {
		gcry_mpi_powm(m, m, e, n);
		memset(out, 0, key->n.len);
		if (!gcry_mpi_print(GCRYMPI_FMT_USG, NULL, 0, &len, m) &&
		    len <= key->n.len &&
		    !gcry_mpi_print(GCRYMPI_FMT_USG, out + key->n.len - len, len, NULL,
				    m))
			ret = 0;
	}
	gcry_mpi_release(n);
	gcry_mpi_release(e);
	gcry_mpi_release(m);
	return ret;
}

int moat_rsa_verify(const struct moat_rsa_public *key, struct moat_view hash,
		    struct moat_view signature)
{
	uint8_t wanted[MOAT_RSA_MAX];
	uint8_t found[MOAT_RSA_MAX];

	if (moat_rsa_unfit(key, true) || signature.len != key->n.len ||
	    moat_rsa_signature_block(hash, wanted, key->n.len) ||
	    power(key, signature, found))
		return -1;
	return moat_secret_equal(wanted, found, key->n.len) ? 0 : -1;
}

int moat_rsa_encrypt(const struct moat_rsa_public *key, struct moat_view text,
		     struct moat_view padding, uint8_t *out)
{
	uint8_t block[MOAT_RSA_MAX] = { 0, 2 };
	int ret;

	if (key->n.len > sizeof(block) || padding.len < 8 ||
	    text.len + padding.len + 3 != key->n.len)
		return -1;
	memcpy(block + 2, padding.data, padding.len);
	memcpy(block + 3 + padding.len, text.data, text.len);
	ret = power(key, moat_view(block, key->n.len), out);
	moat_wipe(block, sizeof(block));
	return ret;
}
