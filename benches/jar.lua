-- One cookie jar for each thread of wrk: as many sessions as threads.
local cookie

function request()
  return wrk.format("GET", nil, cookie and { Cookie = cookie } or nil)
end

function response(_, headers)
  local set = headers["Set-Cookie"]
  if set then cookie = set:match("^[^;]+") end
end
