-- Each request comes with the next id of the list in the file IDS; a page that begins another session fails.
local ids, at = {}, 0

function init()
  for id in io.lines(os.getenv("IDS")) do ids[#ids + 1] = id end
  math.randomseed(tonumber(tostring({}):match("0x(%x+)"), 16))
  at = math.random(#ids)
end

function request()
  at = at % #ids + 1
  return wrk.format("GET", nil, { Cookie = "sid=" .. ids[at] })
end

function response(_, headers)
  if headers["Set-Cookie"] then error("the session was not found") end
end
