// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel process lets the ike process have: what is configured, and no
 * more. One thing of a right request is changed at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>

#include "config_text.h"
#include "priv/kernel_internal.h"
#include "priv/kernel_route.h"

#define TUNNEL(name, more, local, remote)                \
	name " = {\n" more "local-net = \"" local "\"\n" \
	     "remote-net = \"" remote "\"\n}\n"
#define ENDS "local = \"192.0.2.1\"\nremote = \"192.0.2.2\"\n"
#define ANY_AT(local)                                                   \
	"local = \"" local "\"\nremote = \"any\"\nauth = \"rsa-sig\"\n" \
	"cert = \"gw-a.pem\"\nkey = \"selftests/certs/gw-a.key\"\nca = \"ca.pem\"\n"
#define ANY ANY_AT("192.0.2.1")

enum { BRANCH, OPEN, CLOSED, TEMPLATE, EVERYWHERE };

#define TUNNELS                                                                  \
	TUNNEL("branch", ENDS, "10.1.0.0/24", "10.2.0.0/24")                     \
	TUNNEL("open", "action = \"bypass\"\n", "10.3.0.0/24", "10.4.0.0/24")    \
	TUNNEL("closed", "action = \"discard\"\n", "10.5.0.0/24", "10.6.0.0/24") \
	TUNNEL("road", ANY, "10.1.0.0/24", "10.50.0.0/16")                       \
	TUNNEL("phones", ANY, "10.7.0.0/24", "0.0.0.0/0")

static struct moat_kernel kernel;
/* None of its policies has a route. */
static struct moat_routes routes;

static void use(const char *text, unsigned int n)
{
	struct moat_mistakes mistakes = { 0 };

	read_certified(&kernel.feed.config, &mistakes, text);
	expect_none(&mistakes);
	moat_mistakes_free(&mistakes);
	moat_kernel_use_config(&kernel);
	assert_int_equal(kernel.config.n_tunnels, n);
}

static void reload(void)
{
	use("tunnels = {\n" TUNNELS "};\n", 5);
}

static int setup(void **state)
{
	(void)state;
	kernel = (struct moat_kernel){ .ike = -1, .routes = &routes };
	reload();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	moat_kernel_check_free(&kernel);
	return 0;
}

static struct moat_addr addr(const char *name)
{
	struct moat_addr a;

	assert_true(moat_addr_parse(name, &a));
	return a;
}

/* As moat_pair_policy() asks for the first pair of a tunnel. */
static struct moat_policy_params right(unsigned int tunnel)
{
	const struct moat_tunnel_conf *conf = kernel.config.tunnels[tunnel];
	struct moat_policy_params p = {
		.id = MOAT_POLICY_BASE,
		.selector = conf->pairs[0].selector,
		.action = (uint8_t)conf->action,
		.priority = conf->any ? MOAT_PRIORITY_LAST : conf->priority,
		.mark = conf->mark,
		.mode = (uint8_t)conf->mode,
	};

	memcpy(p.device, conf->device, sizeof(p.device));
	if (conf->action == MOAT_ACTION_PROTECT)
		p.shape = conf->shape;
	if (conf->any) {
		p.action = MOAT_ACTION_DISCARD;
		p.shape = (struct moat_shape){ 0 };
	} else if (conf->action == MOAT_ACTION_PROTECT) {
		p.local = addr("192.0.2.1");
		p.remote = addr("192.0.2.2");
	}
	return p;
}

/* And for a peer of the template, wherever it is. */
static struct moat_policy_params right_peer(unsigned int tunnel)
{
	const struct moat_tunnel_conf *conf = kernel.config.tunnels[tunnel];
	struct moat_policy_params p = right(tunnel);

	p.action = MOAT_ACTION_PROTECT;
	p.priority = conf->priority;
	p.shape = conf->shape;
	p.local = addr("192.0.2.1");
	p.remote = addr("198.51.100.7");
	p.selector.remote.first = p.selector.remote.last = addr("10.50.0.9");
	return p;
}

/* And for its IKE, which goes through what the template discards. */
static struct moat_policy_params right_pass(unsigned int tunnel)
{
	struct moat_policy_params p = right(tunnel);

	p.action = MOAT_ACTION_BYPASS;
	p.selector.local.first = p.selector.local.last = addr("192.0.2.1");
	p.selector.protocol = IPPROTO_UDP;
	p.selector.local_port[0] = p.selector.local_port[1] = 500;
	return p;
}

static const char *verdict(const struct moat_policy_params *p)
{
	static char name[MOAT_TUNNEL_NAME_MAX + 1];
	const char *why = moat_kernel_check_policy(&kernel, p, name);

	return why ? why : name;
}

#define OTHER_ACTION "its tunnel has another action"
#define NO_TUNNEL    "no tunnel is configured for its traffic"
#define NO_ID	     "its id is none of the daemon's"
#define OTHER_ENDS   "its endpoints or its mode are not those of its tunnel"
#define OTHER_SHAPE  "its packets are not to be treated as its tunnel says"
#define NO_PEER	     "its tunnel is a template, which protects nothing itself"

/* A right request, what is other in it, and what is said. */
#define TRY(from, change, said)                         \
	do {                                            \
		struct moat_policy_params p = from;     \
                                                        \
		change;                                 \
		assert_string_equal(verdict(&p), said); \
	} while (0)

static void right_ones(void **state)
{
	(void)state;
	TRY(right(BRANCH), , "branch");
	TRY(right(OPEN), , "open");
	TRY(right(CLOSED), , "closed");
	TRY(right(TEMPLATE), , "road");
	TRY(right_peer(TEMPLATE), , "road");
	TRY(right_pass(TEMPLATE), , "road");
	TRY(right(EVERYWHERE), , "phones");
	TRY(right_peer(EVERYWHERE), , "phones");
	/* Its peer has no address yet. */
	TRY(right(BRANCH),
	    (p.action = MOAT_ACTION_DISCARD, p.shape = (struct moat_shape){ 0 }),
	    "branch");
	TRY(right(BRANCH), p.id = MOAT_POLICY_END - 1, "branch");
}

/* Others of this machine have policies, too: those are not for the daemon to replace. */
static void ids(void **state)
{
	(void)state;
	TRY(right(BRANCH), p.id = MOAT_POLICY_BASE - 1, NO_ID);
	TRY(right(BRANCH), p.id = MOAT_POLICY_END, NO_ID);
	TRY(right(BRANCH), p.id = 0, NO_ID);
}

static void traffic(void **state)
{
	(void)state;
	TRY(right(BRANCH), p.selector.local.last = addr("10.1.1.255"), NO_TUNNEL);
	TRY(right(BRANCH), p.selector.remote.first = addr("10.2.0.1"), NO_TUNNEL);
	TRY(right(BRANCH), p.selector.protocol = IPPROTO_TCP, NO_TUNNEL);
	TRY(right(BRANCH), p.selector.local_port[1] = 80, NO_TUNNEL);
	TRY(right(BRANCH), p.selector.remote_port[0] = 1, NO_TUNNEL);
	TRY(right(BRANCH), p.priority++, NO_TUNNEL);
	TRY(right(BRANCH), p.mark = 1, NO_TUNNEL);
	TRY(right(BRANCH), p.device[0] = 'x', NO_TUNNEL);
	TRY(right(BRANCH), memset(p.device, 'x', sizeof(p.device)),
	    "the name of its device has no end");
}

/* Nothing that shall be protected goes in clear. */
static void actions(void **state)
{
	(void)state;
	TRY(right(BRANCH), p.action = MOAT_ACTION_BYPASS, OTHER_ACTION);
	TRY(right(OPEN), p.action = MOAT_ACTION_DISCARD, OTHER_ACTION);
	TRY(right(OPEN), p.action = MOAT_ACTION_PROTECT, OTHER_ACTION);
	TRY(right(CLOSED), p.action = MOAT_ACTION_BYPASS, OTHER_ACTION);
	TRY(right(TEMPLATE), p.action = MOAT_ACTION_BYPASS, OTHER_ACTION);
	TRY(right(TEMPLATE), p.action = MOAT_ACTION_PROTECT, NO_PEER);
	TRY(right_peer(TEMPLATE), p.action = MOAT_ACTION_BYPASS, OTHER_ACTION);
	TRY(right_peer(TEMPLATE), p.action = MOAT_ACTION_DISCARD, NO_PEER);
}

static void ends(void **state)
{
	(void)state;
	TRY(right(BRANCH), p.remote = addr("192.0.2.3"), OTHER_ENDS);
	TRY(right(BRANCH), p.local = addr("192.0.2.3"), OTHER_ENDS);
	TRY(right(BRANCH), p.local.len = 0, OTHER_ENDS);
	TRY(right(BRANCH), p.mode = MOAT_MODE_TRANSPORT, OTHER_ENDS);
	TRY(right_peer(TEMPLATE), p.local = addr("192.0.2.3"), OTHER_ENDS);
	TRY(right_peer(TEMPLATE), p.remote = addr("2001:db8::7"), OTHER_ENDS);
	TRY(right_peer(TEMPLATE), p.remote = addr("224.0.0.1"), OTHER_ENDS);
}

static void shapes(void **state)
{
	(void)state;
	TRY(right(BRANCH), p.shape.tfc ^= 1, OTHER_SHAPE);
	TRY(right(OPEN), p.shape.tfc ^= 1, OTHER_SHAPE);
}

/* A peer of a template gets what lies within it. */
static void peers(void **state)
{
	(void)state;
	TRY(right_peer(TEMPLATE), p.selector.remote.last = addr("10.51.0.9"), NO_TUNNEL);
	TRY(right_peer(TEMPLATE),
	    p.selector.remote.first = p.selector.remote.last = addr("10.51.0.9"),
	    NO_TUNNEL);
	TRY(right_peer(TEMPLATE), p.selector.local.first = addr("10.0.255.0"), NO_TUNNEL);
	TRY(right_peer(TEMPLATE), p.selector.protocol = IPPROTO_TCP, NO_TUNNEL);
	TRY(right_peer(TEMPLATE), p.selector.local_port[0] = 1, NO_TUNNEL);
	TRY(right_peer(TEMPLATE), p.selector.local_port[1] = 1, NO_TUNNEL);
	TRY(right_peer(TEMPLATE), p.selector.remote_port[0] = 1, NO_TUNNEL);
	TRY(right_peer(TEMPLATE), p.selector.remote_port[1] = 1, NO_TUNNEL);
	/* A network in it will do, too. */
	TRY(right_peer(TEMPLATE), p.selector.remote.first = addr("10.50.0.0"), "road");
	TRY(right_peer(TEMPLATE), p.priority++, NO_TUNNEL);
	TRY(right_peer(TEMPLATE), p.mark = 1, NO_TUNNEL);
	TRY(right_peer(TEMPLATE), p.device[0] = 'x', NO_TUNNEL);
}

/* All addresses as its network means the peer's own, and no hole to everywhere. */
static void everywhere(void **state)
{
	(void)state;
	TRY(right_peer(EVERYWHERE), p.selector.remote.last = addr("10.50.0.10"),
	    NO_TUNNEL);
	TRY(right_peer(EVERYWHERE), p.selector.remote = right(EVERYWHERE).selector.remote,
	    NO_TUNNEL);
	TRY(right_pass(EVERYWHERE), , NO_TUNNEL);
}

/* The hole in what is discarded is for IKE with ourselves alone. */
static void passes(void **state)
{
	(void)state;
	TRY(right_pass(TEMPLATE),
	    p.selector.local_port[0] = p.selector.local_port[1] = 4500, "road");
	TRY(right_pass(TEMPLATE),
	    p.selector.local_port[0] = p.selector.local_port[1] = 53, NO_TUNNEL);
	TRY(right_pass(TEMPLATE), p.selector.local_port[1] = 501, NO_TUNNEL);
	TRY(right_pass(TEMPLATE), p.selector.protocol = IPPROTO_TCP, NO_TUNNEL);
	TRY(right_pass(TEMPLATE), p.selector.local.last = addr("192.0.2.2"), NO_TUNNEL);
	TRY(right_pass(TEMPLATE),
	    p.selector.local.first = p.selector.local.last = addr("10.1.0.1"), NO_TUNNEL);
	TRY(right_pass(TEMPLATE), p.selector.remote.last = addr("10.255.255.255"),
	    NO_TUNNEL);
	TRY(right_pass(TEMPLATE), p.priority--, NO_TUNNEL);
	TRY(right_pass(TEMPLATE), p.mark = 1, NO_TUNNEL);
	TRY(right_pass(TEMPLATE), p.device[0] = 'x', NO_TUNNEL);
	TRY(right_pass(TEMPLATE), p.shape.tfc ^= 1, NO_TUNNEL);
	TRY(right_pass(TEMPLATE), p.action = MOAT_ACTION_PROTECT, NO_TUNNEL);
	TRY(right_pass(TEMPLATE), p.id = 1, NO_ID);
	TRY(right_pass(TEMPLATE), p.selector.remote = right(BRANCH).selector.remote,
	    NO_TUNNEL);
}

static struct moat_sa_params right_sa(const struct moat_known_policy *policy,
				      uint8_t direction)
{
	const struct moat_policy_params *p = &policy->params;
	bool in = direction == MOAT_DIRECTION_IN;

	return (struct moat_sa_params){
		.direction = direction,
		.src = in ? p->remote : p->local,
		.dst = in ? p->local : p->remote,
		.mode = p->mode,
		.selector = p->selector,
		.enc_key_len = MOAT_KEY_MAX,
		.auth_key_len = MOAT_KEY_MAX,
		.owner_len = MOAT_OWNER_MAX,
	};
}

#define TRY_SA(change, said)                                            \
	do {                                                            \
		struct moat_sa_params sa = right_sa(policy, direction); \
		const char *why;                                        \
                                                                        \
		change;                                                 \
		why = moat_kernel_check_sa(&kernel, policy, &sa);       \
		assert_string_equal(why ? why : "good", said);          \
	} while (0)

#define SA_ENDS "its addresses are not the endpoints of its policy"
#define SA_NETS "its networks are not within those of its policy"
#define UNHEARD "no packet of its tunnel's peer came from there"

static void sas_of(uint8_t direction)
{
	struct moat_policy_params p = right(BRANCH);
	const struct moat_known_policy *policy =
		moat_kernel_remember(&kernel, &p, "branch");

	TRY_SA(, "good");
	TRY_SA(sa.src = addr("192.0.2.3"), SA_ENDS);
	TRY_SA(sa.dst = addr("192.0.2.3"), SA_ENDS);
	TRY_SA((sa.src = sa.dst, sa.dst = right_sa(policy, direction).src), SA_ENDS);
	TRY_SA(sa.mode = MOAT_MODE_TRANSPORT, "its mode is not that of its policy");
	TRY_SA(sa.selector.local.first = sa.selector.local.last, "good");
	TRY_SA(sa.selector.local.first = addr("10.0.255.255"), SA_NETS);
	TRY_SA(sa.selector.remote.last = addr("10.2.1.0"), SA_NETS);
	TRY_SA(sa.enc_key_len++, "a length is wrong");
	TRY_SA(sa.auth_key_len++, "a length is wrong");
	TRY_SA(sa.owner_len++, "a length is wrong");
	TRY_SA(sa.direction = 0, "it has no direction");
	moat_kernel_forget(&kernel, p.id);
}

static void sas(void **state)
{
	(void)state;
	sas_of(MOAT_DIRECTION_IN);
	sas_of(MOAT_DIRECTION_OUT);
}

static struct moat_known_policy *stands(unsigned int tunnel, uint32_t id)
{
	struct moat_policy_params p = right(tunnel);

	p.id = MOAT_POLICY_BASE + id;
	return moat_kernel_remember(&kernel, &p, kernel.config.tunnels[tunnel]->name);
}

static void none_stand(void)
{
	for (uint32_t id = 0; id < 7; id++)
		moat_kernel_forget(&kernel, MOAT_POLICY_BASE + id);
	assert_null(kernel.policies);
}

/* The same for each of several policies, wherever in the tree they are. */
static void move_one(uint32_t id)
{
	const struct moat_addr there = addr("192.0.2.2"), elsewhere = addr("192.0.2.9");
	struct moat_known_policy *policy = NULL;

	for (uint32_t i = 0; i < 7; i++) {
		struct moat_known_policy *other = stands(i == id ? BRANCH : OPEN, i);

		policy = i == id ? other : policy;
	}
	assert_null(moat_kernel_check_peer(&kernel, policy, &there));
	assert_string_equal(moat_kernel_check_peer(&kernel, policy, &elsewhere), UNHEARD);
	policy->params.remote = elsewhere;
	assert_null(moat_kernel_check_peer(&kernel, policy, &elsewhere));
	/* Another one of its tunnel may follow. */
	TRY(right(BRANCH), (p.remote = elsewhere, p.id += 7), "branch");
	/* The local end may stay where its SAs still are, but not come with another. */
	policy->params.local = addr("192.0.2.8");
	TRY(right(BRANCH), (p.local = addr("192.0.2.8"), p.id += id), "branch");
	TRY(right(BRANCH), (p.local = addr("192.0.2.8"), p.id += 7), OTHER_ENDS);
	/* What another tunnel's policy has is nothing to this one. */
	strcpy(policy->tunnel, "other");
	TRY(right(BRANCH), (p.remote = elsewhere, p.id += 7), OTHER_ENDS);
	TRY(right(BRANCH), (p.local = addr("192.0.2.8"), p.id += id), OTHER_ENDS);
	none_stand();
}

/* Packets are followed only to where the kernel heard the peer. */
static void heard_from(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 7; id++)
		move_one(id);
}

/* SAs between the configured ends come before the policy that moved follows. */
static void sas_first(void **state)
{
	uint8_t direction = MOAT_DIRECTION_IN;
	struct moat_known_policy *policy = stands(BRANCH, 0);

	(void)state;
	policy->params.remote = addr("192.0.2.9");
	TRY_SA(, "good");
	TRY_SA(sa.src = addr("192.0.2.2"), "good");
	TRY_SA(sa.src = addr("192.0.2.3"), SA_ENDS);
	policy->params.local = addr("192.0.2.8");
	TRY_SA(, "good");
	TRY_SA(sa.dst = addr("192.0.2.1"), "good");
	TRY_SA(sa.dst = addr("192.0.2.3"), SA_ENDS);
	none_stand();
}

/* The last policy of its traffic must not go; the one before it may. */
static void bares(void **state)
{
	struct moat_known_policy *policy[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		policy[i] = stands(i, i);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 3; i++)
			assert_true(moat_kernel_bares(&kernel, policy[i]));
		reload();
	}
	stands(BRANCH, 3);
	assert_false(moat_kernel_bares(&kernel, policy[0]));
	assert_true(moat_kernel_bares(&kernel, policy[1]));
	reload();
	assert_false(moat_kernel_bares(&kernel, policy[0]));
	moat_kernel_forget(&kernel, MOAT_POLICY_BASE + 3);
	assert_true(moat_kernel_bares(&kernel, policy[0]));
	none_stand();
}

/* A policy that takes other traffic leaves what it had. */
static void bares_other(void **state)
{
	struct moat_known_policy *first = stands(BRANCH, 0), *second = stands(BRANCH, 1);
	struct moat_policy_params p = right_peer(TEMPLATE);

	(void)state;
	assert_false(moat_kernel_bares(&kernel, first));
	assert_ptr_equal(stands(BRANCH, 1), second);
	assert_false(moat_kernel_bares(&kernel, first));
	assert_ptr_equal(stands(OPEN, 1), second);
	assert_true(moat_kernel_bares(&kernel, first));
	assert_true(moat_kernel_bares(&kernel, second));
	/* Behind a peer of a template there is the template. */
	p.id++;
	assert_ptr_equal(moat_kernel_remember(&kernel, &p, "road"), second);
	assert_false(moat_kernel_bares(&kernel, second));
	none_stand();
}

/* A peer of a template is where it comes from, with its part of the networks. */
static void peers_move(void **state)
{
	static const char *const unusable[] = { "2001:db8::7", "224.0.0.1", "0.0.0.0" };
	struct moat_policy_params p = right_peer(TEMPLATE);
	const struct moat_known_policy *policy =
		moat_kernel_remember(&kernel, &p, "road");
	const struct moat_addr elsewhere = addr("198.51.100.8");
	uint8_t direction = MOAT_DIRECTION_IN;

	(void)state;
	TRY_SA(, "good");
	TRY_SA(sa.src = elsewhere, "good");
	TRY_SA(sa.dst = addr("192.0.2.3"), SA_ENDS);
	TRY_SA(sa.selector = right(TEMPLATE).selector, SA_NETS);
	assert_null(moat_kernel_check_peer(&kernel, policy, &elsewhere));
	for (size_t i = 0; i < sizeof(unusable) / sizeof(*unusable); i++) {
		struct moat_addr a = addr(unusable[i]);

		TRY_SA(sa.src = a, SA_ENDS);
		assert_string_equal(moat_kernel_check_peer(&kernel, policy, &a), UNHEARD);
	}
	none_stand();
}

/* What needs no SAs gets none. */
static void sas_of_none(void **state)
{
	uint8_t direction = MOAT_DIRECTION_OUT;

	(void)state;
	for (unsigned int i = OPEN; i <= CLOSED; i++) {
		const struct moat_known_policy *policy = stands(i, 0);

		TRY_SA((sa.src = addr("192.0.2.1"), sa.dst = addr("192.0.2.2")), SA_ENDS);
		none_stand();
	}
}

enum { TWO, THROUGH, HOSTS, HOME };

static void settings(void **state)
{
	(void)state;
	use("tunnels = {\n" TUNNEL(
		    "two",
		    "local = \"192.0.2.1\"\nremote = [ \"192.0.2.3\", \"192.0.2.2\" ]\n"
		    "mark = 7\npriority = 500\n",
		    "10.1.0.0/24", "10.2.0.0/24")
		    TUNNEL("through", ENDS "device = \"moat0\"\n", "10.1.0.0/24",
			   "10.2.0.0/24") TUNNEL("hosts", ENDS "mode = \"transport\"\n",
						 "192.0.2.1/32", "192.0.2.2/32")
			    TUNNEL("home", "local = \"any\"\nremote = \"192.0.2.2\"\n",
				   "10.8.0.0/24", "10.2.0.0/24") "};\n",
	    4);
	TRY(right(TWO), , "two");
	TRY(right(TWO), p.remote = addr("192.0.2.3"), "two");
	TRY(right(TWO), p.remote = addr("192.0.2.4"), OTHER_ENDS);
	TRY(right(TWO), p.mark = 0, NO_TUNNEL);
	TRY(right(TWO), p.priority = 1000, NO_TUNNEL);
	/* The same traffic, of a device's packets. */
	TRY(right(THROUGH), , "through");
	TRY(right(THROUGH), p.device[0] = '\0', NO_TUNNEL);
	TRY(right(THROUGH), strcpy(p.device, "moat1"), NO_TUNNEL);
	TRY(right(THROUGH), p.mark = 7, NO_TUNNEL);
	TRY(right(HOSTS), , "hosts");
	TRY(right(HOSTS), p.mode = MOAT_MODE_TUNNEL, OTHER_ENDS);
	/* Until there is a way to the peer, its tunnel has no address here. */
	TRY(right(HOME), , OTHER_ENDS);
	TRY(right(HOME), p.local.len = 0, OTHER_ENDS);
	TRY(right(HOME), p.action = MOAT_ACTION_DISCARD, "home");
	kernel.config.tunnels[HOME]->local = addr("192.0.2.1");
	TRY(right(HOME), , "home");
	reload();
}

#define BESIDE(name, local, df)                                                      \
	TUNNEL(name, ANY_AT(local) "local-id = \"gw-a.example\"\ndf = \"" df "\"\n", \
	       "10.1.0.0/24", "10.50.0.0/16")

/* Who is a peer of which template only its certificate says: any of them will do. */
static void templates(void **state)
{
	(void)state;
	use("tunnels = {\n" BESIDE("road", "192.0.2.1", "copy")
		    BESIDE("staff", "192.0.2.7", "clear")
			    BESIDE("guests", "192.0.2.7", "set") "};\n",
	    3);
	TRY(right_peer(0), , "road");
	TRY(right_peer(1), p.local = addr("192.0.2.7"), "staff");
	TRY(right_peer(2), p.local = addr("192.0.2.7"), "guests");
	TRY(right_peer(1), p.local = addr("192.0.2.8"), OTHER_ENDS);
	/* But not what one says of itself and the other of its packets. */
	TRY(right_peer(1), , OTHER_SHAPE);
	TRY(right_peer(0), p.local = addr("192.0.2.7"), OTHER_ENDS);
	reload();
}

/* What was configured before is not any more. */
static void reconfigured(void **state)
{
	struct moat_policy_params branch = right(BRANCH), open = right(OPEN);
	struct moat_policy_params closed = right(CLOSED);

	(void)state;
	use("tunnels = {\n" TUNNEL("branch",
				   "local = \"192.0.2.1\"\nremote = \"192.0.2.5\"\n",
				   "10.1.0.0/24", "10.2.0.0/24")
		    TUNNEL("open", ENDS, "10.3.0.0/24", "10.4.0.0/24") "};\n",
	    2);
	TRY(branch, , OTHER_ENDS);
	TRY(branch, p.remote = addr("192.0.2.5"), "branch");
	TRY(open, , OTHER_ACTION);
	TRY(closed, , NO_TUNNEL);
	reload();
	TRY(branch, , "branch");
	TRY(open, , "open");
	TRY(closed, , "closed");
}

/* Nothing comes; what stands may go, and its SAs come between its own ends alone. */
static void unconfigured(void **state)
{
	const struct moat_policy_params all[] = {
		right(BRANCH),	 right(OPEN),	       right(CLOSED),
		right(TEMPLATE), right_peer(TEMPLATE), right_pass(TEMPLATE),
	};
	const struct moat_addr there = addr("192.0.2.2");
	const struct moat_known_policy *policy = stands(BRANCH, 0);
	uint8_t direction = MOAT_DIRECTION_OUT;

	(void)state;
	moat_kernel_use_config(&kernel);
	assert_int_equal(kernel.config.n_tunnels, 0);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		TRY(all[i], , NO_TUNNEL);
	assert_string_equal(moat_kernel_check_peer(&kernel, policy, &there), UNHEARD);
	TRY_SA(, "good");
	TRY_SA(sa.dst = addr("192.0.2.3"), SA_ENDS);
	assert_false(moat_kernel_bares(&kernel, policy));
	none_stand();
	reload();
}

/* A new ike process has asked for nothing, wherever in the tree it stands. */
static void disclaimed(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 7; i++)
		stands(BRANCH, i)->claimed = true;
	moat_kernel_disclaim(&kernel);
	for (uint32_t i = 0; i < 7; i++)
		assert_false(moat_kernel_policy(&kernel, MOAT_POLICY_BASE + i)->claimed);
	assert_null(moat_kernel_policy(&kernel, MOAT_POLICY_BASE + 7));
	none_stand();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_ones),	cmocka_unit_test(ids),
		cmocka_unit_test(traffic),	cmocka_unit_test(actions),
		cmocka_unit_test(ends),		cmocka_unit_test(shapes),
		cmocka_unit_test(peers),	cmocka_unit_test(passes),
		cmocka_unit_test(everywhere),	cmocka_unit_test(sas),
		cmocka_unit_test(heard_from),	cmocka_unit_test(sas_first),
		cmocka_unit_test(bares),	cmocka_unit_test(bares_other),
		cmocka_unit_test(peers_move),	cmocka_unit_test(sas_of_none),
		cmocka_unit_test(settings),	cmocka_unit_test(templates),
		cmocka_unit_test(disclaimed),	cmocka_unit_test(reconfigured),
		cmocka_unit_test(unconfigured),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
