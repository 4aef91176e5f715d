// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keys cert, key, ca, crl and remote-cert of a tunnel: which go with which
 * auth, whether the files hold what they should, and whether it fits together.
 * Private keys are named here only; the keys process reads them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "priv/cert.h"
#include "priv/config_internal.h"
#include "wire/isakmp.h"

/* Lists keep what is put into them; the analyzer loses it on the way. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

#define FILE_SIZE_MAX (8 * 1024 * 1024)
#define CHAIN_MAX     8
#define DAY	      86400

/**
 * struct draft - credentials of one tunnel while they are read
 */
struct draft {
	struct moat_reader *reader;
	config_setting_t *block;
	struct moat_tunnel_conf *tunnel;
	struct moat_creds *creds;
};

static bool encrypts(const struct moat_tunnel_conf *tunnel)
{
	return tunnel->auth == MOAT_METHOD_RSA_ENC ||
	       tunnel->auth == MOAT_METHOD_RSA_ENC_REVISED;
}

/* Relative to the configuration's directory, as psk-file is. */
static void whole_path(const struct draft *draft, const char *path, char *buf,
		       size_t size)
{
	const char *dir = draft->reader->config->dir;

	if (*path == '/' || !dir)
		snprintf(buf, size, "%s", path);
	else
		snprintf(buf, size, "%s/%s", dir, path);
}

/* Read a file. NULL: a mistake is noted. */
static unsigned char *slurp(struct draft *draft, config_setting_t *setting,
			    const char *path, unsigned int *len)
{
	/* NONBLOCK: a FIFO must not stop us before we see that it is one. */
	char name[4096];
	unsigned char *data = NULL;
	struct stat st;
	ssize_t got;
	int fd;

	whole_path(draft, path, name, sizeof(name));
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st)) {
		moat_reader_wrong(draft->reader, setting,
				  "%s \"%s\" cannot be opened: %s",
				  config_setting_name(setting), path, strerror(errno));
	} else if (!S_ISREG(st.st_mode) || !st.st_size || st.st_size > FILE_SIZE_MAX) {
		moat_reader_wrong(draft->reader, setting,
				  "%s \"%s\" is no file of 1 octet to 8 MiB",
				  config_setting_name(setting), path);
	} else {
		data = malloc(st.st_size);
		if (!data)
			abort();
		got = read(fd, data, st.st_size);
		*len = got > 0 ? got : 0;
	}
	if (fd >= 0)
		close(fd);
	return data;
}

static gnutls_x509_crt_fmt_t format(const unsigned char *data, unsigned int len)
{
	return memmem(data, len, "-----BEGIN", 10) ? GNUTLS_X509_FMT_PEM
						   : GNUTLS_X509_FMT_DER;
}

static void add_der(struct draft *draft, enum moat_creds_part part, gnutls_datum_t *der)
{
	moat_creds_add(draft->creds, part, der->data, der->size);
	gnutls_free(der->data);
}

static void add_certs(struct draft *draft, config_setting_t *setting, const char *path,
		      enum moat_creds_part part)
{
	gnutls_x509_crt_t *certs = NULL;
	gnutls_datum_t text = { NULL, 0 }, der;
	unsigned int n = 0;

	text.data = slurp(draft, setting, path, &text.size);
	if (!text.data)
		return;
	if (gnutls_x509_crt_list_import2(&certs, &n, &text, format(text.data, text.size),
					 0) < 0 ||
	    !n) {
		moat_reader_wrong(draft->reader, setting,
				  "%s \"%s\" holds no certificate that could be read: "
				  "expected PEM (BEGIN CERTIFICATE) or DER",
				  config_setting_name(setting), path);
		n = 0;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (!gnutls_x509_crt_export2(certs[i], GNUTLS_X509_FMT_DER, &der))
			add_der(draft, part, &der);
		der = part == MOAT_CREDS_CA ? moat_cert_dn(certs[i])
					    : (gnutls_datum_t){ NULL, 0 };
		if (der.size)
			add_der(draft, MOAT_CREDS_CA_NAME, &der);
		gnutls_x509_crt_deinit(certs[i]);
	}
	gnutls_free(certs);
	free(text.data);
}

static void add_crls(struct draft *draft, config_setting_t *setting, const char *path)
{
	gnutls_x509_crl_t *crls = NULL;
	gnutls_datum_t text = { NULL, 0 }, der;
	unsigned int n = 0;

	text.data = slurp(draft, setting, path, &text.size);
	if (!text.data)
		return;
	if (gnutls_x509_crl_list_import2(&crls, &n, &text, format(text.data, text.size),
					 0) < 0 ||
	    !n) {
		moat_reader_wrong(draft->reader, setting,
				  "crl \"%s\" holds no revocation list that could be "
				  "read: expected PEM (BEGIN X509 CRL) or DER",
				  path);
		n = 0;
	}
	for (unsigned int i = 0; i < n; i++) {
		time_t next = gnutls_x509_crl_get_next_update(crls[i]);

		if (next != (time_t)-1 && next < time(NULL))
			moat_warning(draft->reader->mistakes, draft->reader->name,
				     config_setting_source_line(setting),
				     "crl \"%s\" should have been renewed by now: until "
				     "it is, certificates of its CA are refused",
				     path);
		if (!gnutls_x509_crl_export2(crls[i], GNUTLS_X509_FMT_DER, &der))
			add_der(draft, MOAT_CREDS_CRL, &der);
		gnutls_x509_crl_deinit(crls[i]);
	}
	gnutls_free(crls);
	free(text.data);
}

static bool load_one(struct moat_reader *reader, config_setting_t *setting,
		     const char *path, void *arg)
{
	struct draft *draft = arg;
	/* An element of a list has no name of its own. */
	config_setting_t *key =
		config_setting_name(setting) ? setting : config_setting_parent(setting);
	const char *name = config_setting_name(key);

	(void)reader;
	if (!strcmp(name, "crl"))
		add_crls(draft, key, path);
	else
		add_certs(draft, key, path,
			  !strcmp(name, "ca")	  ? MOAT_CREDS_CA
			  : !strcmp(name, "cert") ? MOAT_CREDS_CERT
						  : MOAT_CREDS_REMOTE);
	return true;
}

/* One that has run out still says who we are: the peer decides. So: a warning. */
static void check_time(struct draft *draft, config_setting_t *setting,
		       gnutls_x509_crt_t cert)
{
	time_t now = time(NULL), end = gnutls_x509_crt_get_expiration_time(cert);
	time_t begin = gnutls_x509_crt_get_activation_time(cert);
	char day[16] = "";
	struct tm tm;

	if (now >= begin && end - now >= 14 * DAY)
		return;
	if (gmtime_r(now < begin ? &begin : &end, &tm))
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	moat_warning(draft->reader->mistakes, draft->reader->name,
		     config_setting_source_line(setting), "the certificate of %s %s %s",
		     config_setting_name(setting),
		     now < begin ? "is not valid before"
		     : now > end ? "has expired on"
				 : "expires on",
		     day);
}

/* Either certificate's key, checked; false: a mistake is noted. */
static bool check_cert(struct draft *draft, const char *name, enum moat_creds_part part,
		       struct moat_cert_key *key)
{
	config_setting_t *setting = config_setting_get_member(draft->block, name);
	const struct moat_der *der = draft->creds->part[part].list;
	unsigned int usage = GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_NON_REPUDIATION;
	gnutls_x509_crt_t cert;
	const char *why;

	if (!der || !setting)
		return false;
	cert = moat_cert_load(moat_view(der->data, der->len));
	if (!cert)
		return false;
	if (encrypts(draft->tunnel))
		usage = GNUTLS_KEY_KEY_ENCIPHERMENT;
	why = moat_cert_key(cert, draft->creds->weak, key);
	if (!why && !moat_cert_usage(cert, usage))
		why = encrypts(draft->tunnel)
			      ? "its key usage does not allow key encipherment"
			      : "its key usage does not allow digital signatures";
	if (why)
		moat_reader_wrong(draft->reader, setting, "the certificate of %s: %s",
				  name, why);
	check_time(draft, setting, cert);
	gnutls_x509_crt_deinit(cert);
	return !why;
}

static void check_loaded(struct draft *draft)
{
	struct moat_creds *creds = draft->creds;
	struct moat_cert_key key;

	if (check_cert(draft, "cert", MOAT_CREDS_CERT, &key)) {
		moat_key_id(key.public.n, creds->key_id);
		creds->key_len = key.public.n.len;
	}
	if (creds->part[MOAT_CREDS_CERT].n > CHAIN_MAX)
		moat_reader_wrong(draft->reader,
				  config_setting_get_member(draft->block, "cert"),
				  "cert holds %u certificates, %u at most are sent",
				  creds->part[MOAT_CREDS_CERT].n, CHAIN_MAX);
	if (creds->part[MOAT_CREDS_REMOTE].n > 1)
		moat_reader_wrong(draft->reader,
				  config_setting_get_member(draft->block, "remote-cert"),
				  "remote-cert holds %u certificates, expected one",
				  creds->part[MOAT_CREDS_REMOTE].n);
	if (check_cert(draft, "remote-cert", MOAT_CREDS_REMOTE, &key)) {
		moat_creds_add(creds, MOAT_CREDS_REMOTE_KEY, key.public.n.data,
			       key.public.n.len);
		moat_creds_add(creds, MOAT_CREDS_REMOTE_KEY, key.public.e.data,
			       key.public.e.len);
	}
	moat_creds_seal(creds);
}

/* ---- files that many tunnels share are read once ---- */

static void append_name(char *names, size_t size, config_setting_t *setting)
{
	size_t used = strlen(names);

	if (setting && config_setting_is_aggregate(setting)) {
		for (int i = 0; i < config_setting_length(setting); i++)
			append_name(names, size, config_setting_get_elem(setting, i));
		used = strlen(names);
	} else if (setting && config_setting_get_string(setting)) {
		snprintf(names + used, size - used, "%s",
			 config_setting_get_string(setting));
		used = strlen(names);
	}
	snprintf(names + used, size - used, "\n");
}

static const char *const file_keys[] = { "cert", "ca", "crl", "remote-cert" };
#define FILE_KEYS (sizeof(file_keys) / sizeof(file_keys[0]))

static struct moat_creds *find_shared(struct moat_config *config, const char *names)
{
	for (unsigned int i = 0; i < config->n_creds; i++) {
		if (!strcmp(config->creds_names[i], names))
			return config->creds[i];
	}
	return NULL;
}

static void load(struct draft *draft, bool weak)
{
	struct moat_config *config = draft->reader->config;
	char names[8192];

	snprintf(names, sizeof(names), "%u%u\n", weak, encrypts(draft->tunnel));
	for (unsigned int i = 0; i < FILE_KEYS; i++)
		append_name(names, sizeof(names),
			    config_setting_get_member(draft->block, file_keys[i]));
	draft->creds = find_shared(config, names);
	if (!draft->creds) {
		draft->creds = moat_creds_new();
		draft->creds->weak = weak;
		for (unsigned int i = 0; i < FILE_KEYS; i++) {
			config_setting_t *setting =
				config_setting_get_member(draft->block, file_keys[i]);

			if (setting)
				moat_value_strings(draft->reader, setting, load_one,
						   draft);
		}
		check_loaded(draft);
		moat_config_add_creds(config, draft->creds, names);
	}
	draft->tunnel->creds = moat_creds_get(draft->creds);
}

/* ---- private keys ---- */

static void name_key(struct draft *draft)
{
	struct moat_config *config = draft->reader->config;
	config_setting_t *setting = config_setting_get_member(draft->block, "key");
	struct moat_key_conf key = {
		.decrypt = encrypts(draft->tunnel),
		.file = moat_config_file(config, draft->reader->name),
		.line = config_setting_source_line(setting),
	};
	const char *path = "";

	if (!moat_value_string(draft->reader, setting, &path) ||
	    !draft->creds->part[MOAT_CREDS_CERT].n)
		return;
	memcpy(key.id, draft->creds->key_id, sizeof(key.id));
	for (unsigned int i = 0; i < config->n_keys; i++) {
		const struct moat_key_conf *other = &config->keys[i];

		if (memcmp(other->id, key.id, sizeof(key.id)))
			continue;
		if (other->decrypt != key.decrypt)
			moat_reader_wrong(draft->reader, setting,
					  "the key \"%s\" serves %s at %s:%u: encrypted "
					  "nonces need a key of their own, which signs "
					  "nothing",
					  path, other->decrypt ? "rsa-enc" : "rsa-sig",
					  other->file, other->line);
		else if (!strcmp(other->path, path))
			return;
	}
	key.path = strdup(path);
	config->keys = reallocarray(config->keys, config->n_keys + 1, sizeof(key));
	if (!key.path || !config->keys)
		abort();
	config->keys[config->n_keys++] = key;
}

/* ---- what belongs together ---- */

static bool has(const struct draft *draft, const char *name)
{
	return config_setting_get_member(draft->block, name) != NULL;
}

/* What would be read, and never asked for. */
static bool check_idle(struct draft *draft)
{
	static const char *const of_ca[] = { "ca", "crl" };

	for (unsigned int i = 0; i < 2; i++) {
		config_setting_t *setting =
			config_setting_get_member(draft->block, of_ca[i]);

		if (setting && encrypts(draft->tunnel)) {
			moat_reader_wrong(
				draft->reader, setting,
				"%s belongs to auth = \"rsa-sig\": with "
				"encrypted nonces the peer is who has the key of "
				"remote-cert, whoever has signed it",
				of_ca[i]);
			return false;
		}
	}
	if (has(draft, "crl") && !has(draft, "ca")) {
		moat_reader_wrong(draft->reader,
				  config_setting_get_member(draft->block, "crl"),
				  "crl needs ca, whose certificates it revokes: "
				  "remote-cert alone is trusted without asking a CA");
		return false;
	}
	return true;
}

static bool check_present(struct draft *draft)
{
	static const char *const all[] = { "cert", "key", "ca", "crl", "remote-cert" };
	const char *missing = NULL;

	if (draft->tunnel->auth == MOAT_METHOD_PSK) {
		for (unsigned int i = 0; i < 5; i++) {
			if (has(draft, all[i]))
				moat_reader_wrong(
					draft->reader,
					config_setting_get_member(draft->block, all[i]),
					"%s belongs to auth = \"rsa-sig\", \"rsa-enc\" "
					"or \"rsa-enc-revised\"",
					all[i]);
		}
		return false;
	}
	if (!has(draft, "cert"))
		missing = "cert (our certificate)";
	else if (!has(draft, "key"))
		missing = "key (the private key of cert)";
	else if (encrypts(draft->tunnel) && !has(draft, "remote-cert"))
		missing = "remote-cert (the peer's certificate, for its key)";
	else if (!has(draft, "ca") && !has(draft, "remote-cert"))
		missing = "ca (whose certificates we trust) or remote-cert (the one "
			  "certificate of the peer)";
	if (missing)
		moat_reader_wrong(draft->reader, draft->block,
				  "tunnel \"%s\": auth needs %s", draft->tunnel->name,
				  missing);
	return !missing && check_idle(draft);
}

/* As a text of the file has it: GnuTLS parts a name with backslashes, too. */
static const char *in_file(const char *text, char buf[2 * MOAT_DN_STRLEN])
{
	char *at = buf;

	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			*at++ = '\\';
		*at++ = *text;
	}
	*at = '\0';
	return buf;
}

/* The other side will look for the identity in the certificate. */
static void check_id(struct draft *draft, enum moat_creds_part part, const char *name,
		     struct moat_identity *id, const char *id_name)
{
	const struct moat_der *der = draft->creds->part[part].list;
	struct moat_view want = moat_view(id->data, id->len);
	gnutls_x509_crt_t cert;
	gnutls_datum_t dn;
	char text[MOAT_DN_STRLEN], escaped[2 * MOAT_DN_STRLEN];

	cert = der && id->type ? moat_cert_load(moat_view(der->data, der->len)) : NULL;
	if (!cert)
		return;
	dn = moat_cert_dn(cert);
	if (!moat_cert_has_id(cert, id->type, want)) {
		moat_reader_wrong(
			draft->reader, config_setting_get_member(draft->block, name),
			"the certificate of %s does not hold the %s of tunnel "
			"\"%s\" (its address unless configured): write %s = "
			"\"dn:%s\", or take a certificate with that "
			"subjectAltName",
			name, id_name, draft->tunnel->name, id_name,
			in_file(moat_dn_str(moat_view(dn.data, dn.size), text), escaped));
	} else if (id->type == MOAT_ID_DER_ASN1_DN && dn.size <= sizeof(id->data)) {
		/* As the certificate spells it: some peers compare octets. */
		id->len = dn.size;
		memcpy(id->data, dn.data, dn.size);
	}
	gnutls_free(dn.data);
	gnutls_x509_crt_deinit(cert);
}

/* What is encrypted in message 1 needs all that is else agreed on before. */
static void check_aggressive(struct draft *draft)
{
	struct moat_ike_algs *ike = &draft->tunnel->ike;

	if (!encrypts(draft->tunnel) ||
	    draft->tunnel->exchange != MOAT_EXCHANGE_AGGRESSIVE)
		return;
	if (has(draft, "ike") && ike->count > 1)
		moat_reader_wrong(
			draft->reader, config_setting_get_member(draft->block, "ike"),
			"ike has %u entries, and aggressive mode with encrypted "
			"nonces needs a single one: it encrypts before anything "
			"is agreed",
			ike->count);
	ike->count = ike->count ? 1 : 0;
}

void moat_creds_read(struct moat_reader *reader, config_setting_t *block,
		     struct moat_tunnel_conf *tunnel, bool weak)
{
	struct draft draft = { .reader = reader, .block = block, .tunnel = tunnel };
	unsigned int before = reader->mistakes->n;

	if (!check_present(&draft))
		return;
	load(&draft, weak);
	if (reader->mistakes->n > before)
		return;
	name_key(&draft);
	check_aggressive(&draft);
	check_id(&draft, MOAT_CREDS_CERT, "cert", &tunnel->local_id, "local-id");
	check_id(&draft, MOAT_CREDS_REMOTE, "remote-cert", &tunnel->remote_id,
		 "remote-id");
}
