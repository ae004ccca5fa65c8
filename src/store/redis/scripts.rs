//! What Redis does as one step. A lease, and each who waits for one, is written as token (32 hex digits), instance (32), blank, label.

use once_cell::sync::Lazy;

use ::redis::Script;

/// `give_back(lease, queue, mine, span, wakes)`: gives back what `mine` holds, to the first of the queue if there is one; 1 if it was held. `hand`
/// writes a waiter into a lease and wakes it.
const GIVE_BACK: &str = "
    local function hand(lease, waiter, span, wakes)
        redis.call('SET', lease, waiter, 'PX', span)
        local wake = wakes .. string.sub(waiter, 1, 32)
        redis.call('LPUSH', wake, 1)
        redis.call('PEXPIRE', wake, span)
    end
    local function give_back(lease, queue, mine, span, wakes)
        local now = redis.call('GET', lease)
        if not now or string.sub(now, 1, 32) ~= string.sub(mine, 1, 32) then return 0 end
        local first = redis.call('LPOP', queue)
        if first then hand(lease, first, span, wakes) else redis.call('DEL', lease) end
        return 1
    end
";

fn with_give_back(code: &str) -> Script {
    Script::new(&format!("{GIVE_BACK}{code}"))
}

/// Writes or deletes what begins with these bytes still, and gives a lease back where one is named; else answers what is there.
/// KEYS: record, and perhaps lease and queue. ARGV: the bytes; milliseconds to live, nothing for ever, `gone` to delete; what to write; and
/// with a lease: what holds it, the lifetime of one handed over, how a list of hints begins. Done: 1, with a lease 1 or, if it was lost, 0.
pub static COMPARE_AND_SET: Lazy<Script> = Lazy::new(|| {
    with_give_back(
        "if redis.call('GETRANGE', KEYS[1], 0, 12) ~= ARGV[1] then return redis.call('GET', KEYS[1]) end
        if ARGV[2] == 'gone' then redis.call('DEL', KEYS[1])
        elseif ARGV[2] == '' then redis.call('SET', KEYS[1], ARGV[3])
        else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2]) end
        if not KEYS[2] then return 1 end
        return give_back(KEYS[2], KEYS[3], ARGV[4], ARGV[5], ARGV[6])",
    )
});

/// Takes the lease and answers a list with the record, or nothing in it if that is no string; or joins the queue if there is time, and
/// answers who holds the lease. KEYS: lease, queue, record. ARGV: what the lease is to hold, its lifetime, that of one handed over, how a
/// list of hints begins, 1 to join.
///
/// A lease that is free although somebody waits was left by a server that is gone: the first of the queue gets it.
pub static ACQUIRE: Lazy<Script> = Lazy::new(|| {
    with_give_back(
        "local lease, queue, mine = KEYS[1], KEYS[2], ARGV[1]
        local token, instance = string.sub(mine, 1, 32), string.sub(mine, 33, 64)
        local queued = false
        for _, waiter in ipairs(redis.call('LRANGE', queue, 0, -1)) do
            if string.sub(waiter, 1, 32) == token then queued = true
            elseif string.sub(waiter, 33, 64) == instance then redis.call('LREM', queue, 0, waiter) end
        end
        local now = redis.call('GET', lease)
        if not now then
            local first = redis.call('LINDEX', queue, 0)
            if first and string.sub(first, 1, 32) ~= token then
                redis.call('LPOP', queue)
                hand(lease, first, ARGV[3], ARGV[4])
                now = first
            end
        end
        if not now or string.sub(now, 33, 64) == instance then
            if queued then redis.call('LREM', queue, 0, mine) end
            redis.call('SET', lease, mine, 'PX', ARGV[2])
            local record = redis.pcall('GET', KEYS[3])
            if type(record) == 'table' then return {} end
            return {record}
        end
        if ARGV[5] == '1' then
            if not queued then redis.call('RPUSH', queue, mine) end
            redis.call('PEXPIRE', queue, ARGV[2])
        end
        return now",
    )
});

/// Gives a lease back: 1 if it was held; or else a place in its queue. KEYS: lease, queue. ARGV: what was to be held, the lifetime of one
/// handed over, how a list of hints begins.
pub static RELEASE: Lazy<Script> = Lazy::new(|| {
    with_give_back(
        "local held = give_back(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
        if held == 0 then redis.call('LREM', KEYS[2], 0, ARGV[1]) end
        return held",
    )
});

/// 1: renewed; 2: it had gone, and is taken anew; 0: somebody else has it. KEYS: lease. ARGV: what it holds, its lifetime.
pub static RENEW: Lazy<Script> = Lazy::new(|| {
    Script::new(
        "local now = redis.call('GET', KEYS[1])
        if not now then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 2 end
        if now ~= ARGV[1] then return 0 end
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        return 1",
    )
});

/// Renames what holds these bytes still, or is no string. KEYS: both names. ARGV: the bytes, how long it is kept.
pub static PUT_ASIDE: Lazy<Script> = Lazy::new(|| {
    Script::new(
        "local kind = redis.call('TYPE', KEYS[1]).ok
        if kind == 'none' then return 0 end
        if kind == 'string' and redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
        redis.call('RENAME', KEYS[1], KEYS[2])
        redis.call('PEXPIRE', KEYS[2], ARGV[2])
        return 1",
    )
});
