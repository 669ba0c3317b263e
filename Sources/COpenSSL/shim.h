// libssl and libcrypto of the system, and the macros of theirs that Swift does not import.
#pragma once
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static inline int farm_SSL_CTX_set_min_proto_version(SSL_CTX *context, int version) {
    return (int)SSL_CTX_set_min_proto_version(context, version);
}

static inline void farm_SSL_CTX_set_session_cache_off(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
}

// An idle connection holds no record buffers: two of 17 KB each, which a coordinator has a thousand times.
static inline void farm_SSL_CTX_release_buffers(SSL_CTX *context) { SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); }

static inline int farm_SSL_set_tlsext_host_name(SSL *session, const char *name) {
    return (int)SSL_set_tlsext_host_name(session, name);
}

static inline size_t farm_BIO_pending(BIO *bio) { return BIO_ctrl_pending(bio); }

// The server's choice, in its order of preference. The list is static, because libssl keeps a pointer into it.
static const unsigned char farm_alpn_protocols[] = "\x02h2\x08http/1.1";

static inline int farm_alpn_choose(
    SSL *session, const unsigned char **out, unsigned char *out_length, const unsigned char *offered, unsigned int offered_length, void *unused) {
    (void)session;
    (void)unused;
    unsigned char *chosen;
    int result = SSL_select_next_proto(
        &chosen, out_length, farm_alpn_protocols, sizeof(farm_alpn_protocols) - 1, offered, offered_length);
    if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

// A server with this speaks h2 or http/1.1, as the client offers.
static inline void farm_SSL_CTX_choose_http(SSL_CTX *context) { SSL_CTX_set_alpn_select_cb(context, farm_alpn_choose, NULL); }

// New private keys; null without entropy or memory. The caller frees them.
static inline EVP_PKEY *farm_generate_p256(void) { return EVP_EC_gen("P-256"); }
static inline EVP_PKEY *farm_generate_ed25519(void) { return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); }
