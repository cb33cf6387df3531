-- Copyright (C) 2026 the ngx_trove_module authors
--
-- The gate as users of lua-nginx would write it: HMAC by FFI from the libcrypto
-- that NGINX has loaded, lua-cjson, a shared dictionary.  One HMAC context is
-- reused, and the body is not copied in order to prepend the time.

local bit = require "bit"
local cjson = require "cjson.safe"
local ffi = require "ffi"

ffi.cdef [[
typedef struct hmac_ctx_st HMAC_CTX;
typedef struct evp_md_st EVP_MD;
typedef struct engine_st ENGINE;

const EVP_MD *EVP_sha256(void);
HMAC_CTX *HMAC_CTX_new(void);
int HMAC_Init_ex(HMAC_CTX *ctx, const void *key, int len, const EVP_MD *md,
    ENGINE *impl);
int HMAC_Update(HMAC_CTX *ctx, const char *data, size_t len);
int HMAC_Final(HMAC_CTX *ctx, unsigned char *md, unsigned int *len);
]]

local C = ffi.C
local bxor, bor = bit.bxor, bit.bor
local byte, match, sub = string.byte, string.match, string.sub

local TOLERANCE, LEASE, TTL = 300, 60, 86400

local _M = {}

local hmac
local md = ffi.new("unsigned char[32]")
local md_len = ffi.new("unsigned int[1]")


function _M.init(path)
    local file = assert(io.open(path))
    local secret = match(file:read("*a"), "^%s*(%S+)")
    file:close()

    hmac = C.HMAC_CTX_new()
    C.HMAC_Init_ex(hmac, secret, #secret, C.EVP_sha256(), nil)
end


local function refuse(verdict)
    ngx.log(ngx.ERR, "event refused: ", verdict)
    ngx.status = 400
    ngx.header["Content-Type"] = "application/json"
    ngx.print('{"error":"', verdict, '"}')
    return ngx.exit(400)
end


local function genuine(t, v1, body)
    if C.HMAC_Init_ex(hmac, nil, 0, nil, nil) ~= 1
       or C.HMAC_Update(hmac, t, #t) ~= 1
       or C.HMAC_Update(hmac, ".", 1) ~= 1
       or C.HMAC_Update(hmac, body, #body) ~= 1
       or C.HMAC_Final(hmac, md, md_len) ~= 1
    then
        return false
    end

    local differ = 0

    for i = 0, 31 do
        local high, low = byte(v1, 2 * i + 1, 2 * i + 2)

        high = high - (high > 96 and 87 or 48)
        low = low - (low > 96 and 87 or 48)
        differ = bor(differ, bxor(md[i], high * 16 + low))
    end

    return differ == 0
end


function _M.check()
    local header = ngx.var.http_x_trove_signature

    if not header then
        return refuse("missing")
    end

    local t = match(header, "t=(%d+)")
    local v1 = match(header, "v1=(%x+)")

    if not t or not v1 or #v1 ~= 64 then
        return refuse("malformed")
    end

    if math.abs(ngx.time() - t) > TOLERANCE then
        return refuse("stale")
    end

    ngx.req.read_body()

    local body = ngx.req.get_body_data() or ""

    if not genuine(t, v1, body) then
        return refuse("mismatch")
    end

    local event = cjson.decode(body)

    if not event or type(event.id) ~= "string"
       or type(event.type) ~= "string"
    then
        return refuse("bad_event")
    end

    local events = ngx.shared.trove_events
    local added, why = events:add(event.id, "inflight", LEASE)

    if added then
        ngx.ctx.claimed = event.id

        ngx.req.set_header("X-Trove-Event", event.type)
        ngx.req.set_header("X-Trove-Event-Id", event.id)
        return
    end

    ngx.header["Content-Type"] = "application/json"

    if why == "exists" and events:get(event.id) == "done" then
        ngx.print('{"status":"duplicate","id":', cjson.encode(event.id), '}')
        return ngx.exit(200)
    end

    ngx.status = why == "exists" and 409 or 503
    ngx.print('{"error":"inflight"}')
    return ngx.exit(ngx.status)
end


function _M.answered()
    local id = ngx.ctx.claimed

    if id and ngx.status >= 200 and ngx.status < 300 then
        ngx.shared.trove_events:set(id, "done", TTL)
        ngx.ctx.claimed = nil
    end
end


function _M.over()
    local id = ngx.ctx.claimed

    if id then
        ngx.shared.trove_events:delete(id)
    end
end


return _M
