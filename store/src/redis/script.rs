//! What the server does in one step: keep a message, forget messages, keep a broadcast.
//!
//! One command each, so that a crash leaves all of it or nothing.
//!
//! A user's messages have one order, however many processes store for the user at once. A message
//! says which sequence it goes behind, and is refused where that is not the greatest that the user
//! was ever given: then another process stored something that this one does not know of, or an
//! earlier message of this one was refused, or the command comes late, from a connection that was
//! given up. So who stored a message has had everything before it, nothing is stored before it any
//! more, and its acknowledgement speaks for nothing that nobody was sent.

/// The word that refusals begin with.
pub(super) const OVERTAKEN: &str = "OVERTAKEN";

/// Keys: index, bodies, marks. Arguments: sequence, entry, body, when it expires, until when the
/// sequence is remembered, mark or nothing, when it was used, the window in seconds, the greatest
/// sequence that the user was given as the process believes, the process, and 1 where that sequence
/// is of a message that the process does not know to be kept. All processes give a user the next
/// sequence, so that one alone does not tell whose message it is of: the score of the member `by`
/// does.
pub(super) const APPEND: &str = r"
local function keep(key, till)
  if redis.call('EXPIRETIME', key) < tonumber(till) then redis.call('EXPIREAT', key, till) end
end
local last = -tonumber(redis.call('ZSCORE', KEYS[1], 'last') or '0')
local by = -tonumber(redis.call('ZSCORE', KEYS[1], 'by') or '0')
local another = ARGV[11] == '1' and by ~= tonumber(ARGV[10])
if last ~= tonumber(ARGV[9]) or another or tonumber(ARGV[1]) <= last then
  return redis.error_reply('OVERTAKEN sequence ' .. ARGV[1] .. ' was to go behind ' .. ARGV[9])
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2], '-' .. ARGV[1], 'last',
  '-' .. ARGV[10], 'by')
keep(KEYS[1], ARGV[5])
keep(KEYS[2], ARGV[4])
if ARGV[6] ~= '' then
  redis.call('ZADD', KEYS[3], ARGV[7], ARGV[6])
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', tonumber(ARGV[7]) - tonumber(ARGV[8]) - 1)
  redis.call('EXPIRE', KEYS[3], ARGV[8])
end
return 1
";

/// Keys: index, bodies. Arguments: the greatest sequence to forget, until when it is remembered.
/// What is remembered of deliveries, at the score 0, goes with the messages.
///
/// Nobody says this of a sequence that is not stored, unless the server has lost it: then messages
/// that the process does not know may have come in its place, so nothing is forgotten, and the
/// sequence is not given again.
pub(super) const TRIM: &str = r"
local last = -tonumber(redis.call('ZSCORE', KEYS[1], 'last') or '0')
if tonumber(ARGV[1]) > last then
  if tonumber(ARGV[1]) < 9007199254740992 then
    redis.call('ZADD', KEYS[1], '-' .. ARGV[1], 'last')
    if redis.call('EXPIRETIME', KEYS[1]) < tonumber(ARGV[2]) then
      redis.call('EXPIREAT', KEYS[1], ARGV[2])
    end
  end
  return 0
end
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], 1, ARGV[1], 'WITHSCORES')
for at = 2, #gone, 2 do redis.call('HDEL', KEYS[2], gone[at]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ARGV[1])
return #gone / 2
";

/// Keys: broadcasts, states. Arguments: number, broadcast, state, when it expires. The same
/// broadcast again is the same; another one of that number is refused. The version of the states
/// tells other processes that there is something new; it begins with the time, so that it is a new
/// one also after everything had expired.
pub(super) const BROADCAST: &str = r"
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old and old ~= ARGV[2] then
  return redis.error_reply('OVERTAKEN number ' .. ARGV[1] .. ' is given')
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
if redis.call('HINCRBY', KEYS[2], 'version', 1) == 1 then
  redis.call('HSET', KEYS[2], 'version', redis.call('TIME')[1] * 1000)
end
for at = 1, 2 do
  if redis.call('EXPIRETIME', KEYS[at]) < tonumber(ARGV[4]) then
    redis.call('EXPIREAT', KEYS[at], ARGV[4])
  end
end
return 1
";

/// Which script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// [`APPEND`].
    Append,
    /// [`TRIM`].
    Trim,
    /// [`BROADCAST`].
    Broadcast,
}

impl Script {
    /// Each, in the order in which [`Hashes`] has them.
    pub(super) const ALL: [(Self, &'static str); 3] =
        [(Self::Append, APPEND), (Self::Trim, TRIM), (Self::Broadcast, BROADCAST)];
}

/// What the servers call the scripts; the same on each.
#[derive(Debug, Clone, Default)]
pub(super) struct Hashes(pub(super) [String; 3]);

impl Hashes {
    /// A call of this script.
    pub(super) fn call(&self, script: Script) -> redis::Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.0[script as usize]);
        call
    }
}
