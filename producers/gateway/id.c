#include "producers/gateway/id.h"

enum { PREFIX_BYTES = 5, UUID_HEX_BYTES = 32, MAC_BYTES = 8 };

static void mac_of(const struct sha256 *key, const struct uuid *u, struct slice tenant, char out[2 * MAC_BYTES + 1])
{
	char text[UUID_BYTES + 256];
	size_t n = tenant.len < 256 ? tenant.len : 256; /* tenants are at most 64 bytes */
	struct sha256 mac;

	memcpy(text, u->bytes, UUID_BYTES);
	if (n > 0)
		memcpy(text + UUID_BYTES, tenant.ptr, n);
	mac = digest_hmac(slice_of(key->bytes, SHA256_BYTES), slice_of(text, UUID_BYTES + n));
	for (size_t i = 0; i < MAC_BYTES; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", mac.bytes[i]); /* two digits and NUL always fit */
}

void id_write(const struct sha256 *key, const struct uuid *u, struct slice tenant, char out[ID_TEXT_BYTES])
{
	memcpy(out, "resp_", PREFIX_BYTES);
	for (size_t i = 0; i < UUID_BYTES; i++)
		(void)snprintf(out + PREFIX_BYTES + 2 * i, 3, "%02x", u->bytes[i]); /* two digits and NUL always fit */
	mac_of(key, u, tenant, out + PREFIX_BYTES + UUID_HEX_BYTES);
}

bool id_read_hex(struct slice hex, struct uuid *out)
{
	char text[UUID_TEXT_BYTES];

	if (hex.len != UUID_HEX_BYTES)
		return false;
	(void)snprintf(text, sizeof(text), "%.8s-%.4s-%.4s-%.4s-%.12s", hex.ptr, hex.ptr + 8, hex.ptr + 12, hex.ptr + 16,
	               hex.ptr + 20); /* exactly 36 characters */
	return uuid_read(slice_of(text, UUID_TEXT_BYTES - 1), out);
}

bool id_read(const struct sha256 *key, struct slice text, struct slice tenant, struct uuid *out)
{
	char expected[2 * MAC_BYTES + 1];
	struct uuid u;

	if (text.len != ID_TEXT_BYTES - 1 || !slice_starts(text, "resp_") ||
	    !id_read_hex(slice_of(text.ptr + PREFIX_BYTES, UUID_HEX_BYTES), &u))
		return false;
	mac_of(key, &u, tenant, expected);
	if (!digest_equal(expected, text.ptr + PREFIX_BYTES + UUID_HEX_BYTES, 2 * MAC_BYTES))
		return false;
	*out = u;
	return true;
}
