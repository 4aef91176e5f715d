// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Other credentials in the configuration. What the old ones have proved holds for the
 * IPsec SAs that stand, but no others are made under it: such an ISAKMP SA is outdated.
 * A new one takes its place at once, and the old one ends then, so nothing is lost when
 * the peer has its new credentials as well; until it has them it is asked again.
 *
 * Certificates are here; of pre-shared keys only the keys process knows. So SKEYID is
 * asked for once more, from the nonces of then, and must be the one of then.
 */
#include "ike/crypt.h"
#include "ike/ike1.h"

#include <stdlib.h>
#include <string.h>

#define MOAT_NONCES_MAX 512 /* of both sides, RFC 2409 section 5 */

/**
 * struct moat_psk_proof - which pre-shared key an ISAKMP SA was made with
 * @nonces: of both sides
 * @remote: whose key it was, by address
 * @digest: SHA-256 of SKEYID
 */
struct moat_psk_proof {
	struct moat_blob nonces;
	struct moat_addr remote;
	uint8_t digest[32];
};

static int digest_of(struct moat_view skeyid, uint8_t digest[32])
{
	return moat_hash(MOAT_HASH_SHA256, &skeyid, 1, digest);
}

void moat_renew_keep(struct moat_isakmp *sa)
{
	struct moat_psk_proof *proof = moat_alloc(sizeof(*proof));
	uint8_t both[MOAT_NONCES_MAX];
	const struct moat_blob *n = sa->nonces;

	moat_renew_forget(sa);
	if (n[0].len + n[1].len > sizeof(both) ||
	    digest_of(moat_blob_view(&sa->skeyid), proof->digest)) {
		free(proof);
		return;
	}
	memcpy(both, n[0].data, n[0].len);
	memcpy(both + n[0].len, n[1].data, n[1].len);
	moat_blob_set(&proof->nonces, both, n[0].len + n[1].len);
	proof->remote = sa->remote.addr;
	sa->psk_proof = proof;
}

void moat_renew_forget(struct moat_isakmp *sa)
{
	if (!sa->psk_proof)
		return;
	moat_blob_clear(&sa->psk_proof->nonces);
	free(sa->psk_proof);
	sa->psk_proof = NULL;
}

static void outdate(struct moat_isakmp *sa, const char *what)
{
	char name[MOAT_ISAKMP_STRLEN];

	if (sa->outdated)
		return;
	sa->outdated = true;
	sa->outdated_at = sa->ike->now;
	/* What was to be done under it is done under the new one. */
	sa->stale = true;
	moat_act_log(sa->ike->acts, MOAT_LOG_WARN, "ike-outdated", sa->tunnel->conf.name,
		     "%s: no more SAs are made under this ISAKMP SA, a new one takes its "
		     "place; %s",
		     what, moat_isakmp_name(sa, name));
	if (sa->state == MOAT_QM_IDLE)
		moat_timer_after(sa->ike, &sa->rekey_timer, 1);
}

/* No answer is no proof: then a new phase 1 asks the question in its own way. */
static void have_skeyid(struct moat_ike *ike, void *owner, const struct moat_event *event)
{
	struct moat_isakmp *sa = owner;
	uint8_t digest[32];

	(void)ike;
	sa->comparing--;
	if (event->answer.ok && sa->psk_proof &&
	    event->answer.len == moat_hash_len(sa->alg.hash) &&
	    !digest_of(moat_view(event->answer.data, event->answer.len), digest) &&
	    moat_secret_equal(digest, sa->psk_proof->digest, sizeof(digest)))
		return;
	outdate(sa,
		event->answer.ok
			? "the pre-shared key for this peer is another one now"
			: "no pre-shared key for this peer was found to compare with");
}

void moat_renew_check(struct moat_isakmp *sa)
{
	const struct moat_psk_proof *proof = sa->psk_proof;
	struct moat_act *act;

	if (!proof || sa->outdated)
		return;
	sa->comparing++;
	act = moat_act_new(sa->ike->acts, MOAT_ACT_SKEYID);
	act->skeyid.hash = sa->alg.hash;
	act->skeyid.remote = proof->remote;
	act->skeyid.remote_id = sa->tunnel->conf.remote_id;
	act->skeyid.len = proof->nonces.len;
	act->skeyid.nonces = moat_dup(proof->nonces.data, proof->nonces.len);
	moat_core_ask(sa->ike, act, sa, have_skeyid);
}

void moat_renew_all(struct moat_ike *ike)
{
	struct moat_tunnel *tunnel;
	struct moat_isakmp *sa;

	ike->configs++;
	TAILQ_FOREACH(sa, &ike->isakmps, link) {
		if (sa->tunnel->renewed)
			outdate(sa, "certificates or keys of this tunnel are others now");
		else if (sa->state == MOAT_QM_IDLE)
			moat_renew_check(sa);
	}
	TAILQ_FOREACH(tunnel, &ike->tunnels, link)
		tunnel->renewed = false;
}

uint64_t moat_renew_again(const struct moat_isakmp *sa)
{
	uint64_t since = sa->ike->now - sa->outdated_at;

	if (!sa->outdated || since < 10 * MOAT_SECOND)
		return 10 * MOAT_SECOND;
	return since < 300 * MOAT_SECOND ? since : 300 * MOAT_SECOND;
}

bool moat_renew_refuses(struct moat_ike1_in *in)
{
	if (!in->sa->outdated)
		return false;
	in->quick->notify = MOAT_N_AUTHENTICATION_FAILED;
	moat_refuse_say(&in->no, MOAT_REFUSE_STATE,
			"the credentials that made this ISAKMP SA are no longer "
			"configured: a new phase 1 must come first");
	return true;
}
