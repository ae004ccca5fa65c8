-- One cookie jar for each thread of wrk: as many sessions as threads. FIRST is where the first request of each goes, for pages that begin
-- no session.
local cookie
local first = os.getenv("FIRST")

function request()
  local path = first
  first = nil
  return wrk.format("GET", path, cookie and { Cookie = cookie } or nil)
end

function response(_, headers)
  local set = headers["Set-Cookie"]
  if set then cookie = set:match("^[^;]+") end
end
