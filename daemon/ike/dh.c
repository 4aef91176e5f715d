// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Diffie-Hellman over libgcrypt. MODP: RFC 2409 §6, RFC 3526. Curves over GF[p]:
 * RFC 5903, public value x | y, shared secret x. Curve25519: RFC 7748, in IKEv1
 * by practice with the group number 31 of IKEv2.
 */
#include "ike/dh.h"

#include <gcrypt.h>

#include "ike/crypt.h"
#include "ike/dhprime.h"

enum kind { KIND_NONE, KIND_MODP, KIND_ECP, KIND_25519 };

struct shape {
	enum kind kind;
	uint16_t private_len;
	uint16_t field_len;
	const char *curve;
};

/* Exponents: the larger estimate of RFC 3526 §8; none is given below group 5. */
static const struct shape shapes[MOAT_GROUP_MAX] = {
	[MOAT_GROUP_MODP1024] = { KIND_MODP, 30, 128, NULL },
	[MOAT_GROUP_MODP1536] = { KIND_MODP, 30, 192, NULL },
	[MOAT_GROUP_MODP2048] = { KIND_MODP, 40, 256, NULL },
	[MOAT_GROUP_MODP3072] = { KIND_MODP, 53, 384, NULL },
	[MOAT_GROUP_MODP4096] = { KIND_MODP, 60, 512, NULL },
	[MOAT_GROUP_MODP6144] = { KIND_MODP, 68, 768, NULL },
	[MOAT_GROUP_MODP8192] = { KIND_MODP, 78, 1024, NULL },
	[MOAT_GROUP_ECP256] = { KIND_ECP, 32, 32, "NIST P-256" },
	[MOAT_GROUP_ECP384] = { KIND_ECP, 48, 48, "NIST P-384" },
	[MOAT_GROUP_ECP521] = { KIND_ECP, 66, 66, "NIST P-521" },
	[MOAT_GROUP_CURVE25519] = { KIND_25519, 32, 32, NULL },
};

static const struct shape *shape(enum moat_group group)
{
	return &shapes[group < MOAT_GROUP_MAX ? group : MOAT_GROUP_NONE];
}

size_t moat_dh_private_len(enum moat_group group)
{
	return shape(group)->private_len;
}

size_t moat_dh_public_len(enum moat_group group)
{
	const struct shape *s = shape(group);

	return s->kind == KIND_ECP ? 2 * s->field_len : s->field_len;
}

enum moat_group moat_dh_group_of(size_t len)
{
	for (enum moat_group group = MOAT_GROUP_NONE + 1; group < MOAT_GROUP_MAX;
	     group++) {
		if (moat_dh_public_len(group) == len)
			return group;
	}
	return MOAT_GROUP_NONE;
}

size_t moat_dh_shared_len(enum moat_group group)
{
	return shape(group)->field_len;
}

/* A number as exactly @len octets, leading zeros kept. */
static int mpi_print(gcry_mpi_t n, uint8_t *out, size_t len)
{
	size_t used = 0;
	int ret = -1;
	uint8_t *tmp = gcry_malloc_secure(len);

	if (!tmp)
		return -1;
	if (gcry_mpi_print(GCRYMPI_FMT_USG, tmp, len, &used, n) == 0 && used <= len) {
		memset(out, 0, len - used);
		memcpy(out + len - used, tmp, used);
		ret = 0;
	}
	moat_wipe(tmp, len);
	gcry_free(tmp);
	return ret;
}

static gcry_mpi_t mpi_scan(const uint8_t *p, size_t len)
{
	gcry_mpi_t n = NULL;

	return gcry_mpi_scan(&n, GCRYMPI_FMT_USG, p, len, NULL) ? NULL : n;
}

/* Private values and what is made of them stay in secure memory. */
static gcry_mpi_t mpi_scan_secret(const uint8_t *p, size_t len)
{
	uint8_t *copy = gcry_malloc_secure(len);
	gcry_mpi_t n;

	if (!copy)
		return NULL;
	memcpy(copy, p, len);
	n = mpi_scan(copy, len);
	moat_wipe(copy, len);
	gcry_free(copy);
	return n;
}

static gcry_mpi_t prime(enum moat_group group)
{
	gcry_mpi_t p = NULL;

	if (gcry_mpi_scan(&p, GCRYMPI_FMT_HEX, moat_dh_prime(group), 0, NULL))
		return NULL;
	return p;
}

/* out = base^priv mod p */
static int modp_power(enum moat_group group, gcry_mpi_t base, const uint8_t *priv,
		      uint8_t *out)
{
	const struct shape *s = shape(group);
	gcry_mpi_t p = prime(group);
	gcry_mpi_t x = mpi_scan_secret(priv, s->private_len);
	gcry_mpi_t y = gcry_mpi_snew(s->field_len * 8);
	int ret = -1;

	if (p && x && y && base) {
		gcry_mpi_powm(y, base, x, p);
		/* An exponent of zero or of the group's order gives 1: draw again. */
		if (gcry_mpi_cmp_ui(y, 1) > 0)
			ret = mpi_print(y, out, s->field_len);
	}
	gcry_mpi_release(y);
	gcry_mpi_release(x);
	gcry_mpi_release(p);
	return ret;
}

static int modp_check(enum moat_group group, struct moat_view pub,
		      struct moat_refusal *no)
{
	gcry_mpi_t p = prime(group);
	gcry_mpi_t y = mpi_scan(pub.data, pub.len);
	int ret = -1;

	if (!p || !y) {
		ret = moat_refuse(no, MOAT_REFUSE_KEY, "out of memory");
		goto out;
	}
	/* 1 and p - 1 generate groups of order 1 and 2 (RFC 2412 §5). */
	gcry_mpi_sub_ui(p, p, 1);
	if (gcry_mpi_cmp_ui(y, 1) > 0 && gcry_mpi_cmp(y, p) < 0)
		ret = 0;
	else
		ret = moat_refuse(no, MOAT_REFUSE_KEY,
				  "public value is not in 2 to p - 2 of %s",
				  moat_group_name(group));
out:
	gcry_mpi_release(y);
	gcry_mpi_release(p);
	return ret;
}

/* The point with coordinates x | y, or NULL when it is not on the curve. */
static gcry_mpi_point_t ecp_point(gcry_ctx_t curve, const uint8_t *pub, size_t field_len)
{
	gcry_mpi_t p = gcry_mpi_ec_get_mpi("p", curve, 1);
	gcry_mpi_t x = mpi_scan(pub, field_len);
	gcry_mpi_t y = mpi_scan(pub + field_len, field_len);
	gcry_mpi_point_t point = gcry_mpi_point_new(0);

	if (p && x && y && gcry_mpi_cmp(x, p) < 0 && gcry_mpi_cmp(y, p) < 0) {
		gcry_mpi_point_set(point, x, y, GCRYMPI_CONST_ONE);
		if (!gcry_mpi_ec_curve_point(point, curve)) {
			gcry_mpi_point_release(point);
			point = NULL;
		}
	} else {
		gcry_mpi_point_release(point);
		point = NULL;
	}
	gcry_mpi_release(y);
	gcry_mpi_release(x);
	gcry_mpi_release(p);
	return point;
}

static int ecp_check(enum moat_group group, struct moat_view pub, struct moat_refusal *no)
{
	const struct shape *s = shape(group);
	gcry_mpi_point_t point;
	gcry_ctx_t curve;

	if (gcry_mpi_ec_new(&curve, NULL, s->curve))
		return moat_refuse(no, MOAT_REFUSE_KEY, "libgcrypt has no %s", s->curve);
	point = ecp_point(curve, pub.data, s->field_len);
	gcry_ctx_release(curve);
	if (!point)
		return moat_refuse(no, MOAT_REFUSE_KEY, "public value is no point of %s",
				   moat_group_name(group));
	gcry_mpi_point_release(point);
	return 0;
}

/*
 * Random octets as a private value: 0 < d < order. P-521 fills its last octet with
 * one bit alone, so the rest of it is cut off.
 */
static bool ecp_private(gcry_ctx_t curve, gcry_mpi_t d)
{
	gcry_mpi_t n = gcry_mpi_ec_get_mpi("n", curve, 1);
	bool ok = false;

	if (n) {
		gcry_mpi_clear_highbit(d, gcry_mpi_get_nbits(n));
		ok = gcry_mpi_cmp_ui(d, 0) > 0 && gcry_mpi_cmp(d, n) < 0;
	}
	gcry_mpi_release(n);
	return ok;
}

/* x (and y after it, if wanted) of priv * point; the base point without @peer */
static int ecp_multiply(enum moat_group group, const uint8_t *priv, const uint8_t *peer,
			uint8_t *out_x, uint8_t *out_y)
{
	const struct shape *s = shape(group);
	gcry_mpi_point_t result = gcry_mpi_point_new(0);
	gcry_mpi_point_t point = NULL;
	gcry_mpi_t d = mpi_scan_secret(priv, s->private_len);
	gcry_mpi_t x = gcry_mpi_snew(s->field_len * 8);
	gcry_mpi_t y = gcry_mpi_snew(s->field_len * 8);
	gcry_ctx_t curve = NULL;
	int ret = -1;

	if (!d || gcry_mpi_ec_new(&curve, NULL, s->curve) || !ecp_private(curve, d))
		goto out;
	point = peer ? ecp_point(curve, peer, s->field_len)
		     : gcry_mpi_ec_get_point("g", curve, 1);
	if (!point)
		goto out;
	gcry_mpi_ec_mul(result, d, point, curve);
	/* Non-zero at infinity, which a point of prime order cannot reach. */
	if (gcry_mpi_ec_get_affine(x, y, result, curve))
		goto out;
	ret = mpi_print(x, out_x, s->field_len);
	if (ret == 0 && out_y)
		ret = mpi_print(y, out_y, s->field_len);
out:
	gcry_mpi_release(y);
	gcry_mpi_release(x);
	gcry_mpi_release(d);
	gcry_mpi_point_release(point);
	gcry_mpi_point_release(result);
	gcry_ctx_release(curve);
	return ret;
}

/* All zeros come out of points of small order (RFC 7748 §6.1): refused. */
static int x25519(const uint8_t *priv, const uint8_t *peer, uint8_t *out)
{
	static const uint8_t zero[32];

	if (gcry_ecc_mul_point(GCRY_ECC_CURVE25519, out, priv, peer))
		return -1;
	return moat_secret_equal(out, zero, sizeof(zero)) ? -1 : 0;
}

int moat_dh_public(enum moat_group group, const uint8_t *priv, uint8_t *pub)
{
	const struct shape *s = shape(group);
	gcry_mpi_t two;
	int ret;

	switch (s->kind) {
	case KIND_MODP:
		two = gcry_mpi_set_ui(NULL, 2);
		ret = modp_power(group, two, priv, pub);
		gcry_mpi_release(two);
		return ret;
	case KIND_ECP:
		return ecp_multiply(group, priv, NULL, pub, pub + s->field_len);
	case KIND_25519:
		return x25519(priv, NULL, pub);
	case KIND_NONE:
		break;
	}
	return -1;
}

int moat_dh_check(enum moat_group group, struct moat_view pub, struct moat_refusal *no)
{
	size_t len = moat_dh_public_len(group);

	if (len == 0)
		return moat_refuse(no, MOAT_REFUSE_KEY, "there is no group %d", group);
	if (pub.len != len)
		return moat_refuse(no, MOAT_REFUSE_KEY,
				   "public value has %zu bytes, %s takes %zu", pub.len,
				   moat_group_name(group), len);
	switch (shape(group)->kind) {
	case KIND_MODP:
		return modp_check(group, pub, no);
	case KIND_ECP:
		return ecp_check(group, pub, no);
	default:
		return 0;
	}
}

int moat_dh_shared(enum moat_group group, const uint8_t *priv, struct moat_view peer,
		   uint8_t *out, struct moat_refusal *no)
{
	gcry_mpi_t base;
	int ret = -1;

	if (moat_dh_check(group, peer, no) < 0)
		return -1;
	switch (shape(group)->kind) {
	case KIND_MODP:
		base = mpi_scan(peer.data, peer.len);
		ret = modp_power(group, base, priv, out);
		gcry_mpi_release(base);
		break;
	case KIND_ECP:
		ret = ecp_multiply(group, priv, peer.data, out, NULL);
		break;
	case KIND_25519:
		ret = x25519(priv, peer.data, out);
		break;
	case KIND_NONE:
		break;
	}
	if (ret < 0)
		return moat_refuse(no, MOAT_REFUSE_KEY,
				   "no shared secret in %s comes of it",
				   moat_group_name(group));
	return 0;
}
