-- Each request is of another session, among as many as CROWD says. Their ids are their numbers: benches/crowd.rs made them.
local crowd = tonumber(os.getenv("CROWD"))

function init()
  math.randomseed(tonumber(tostring({}):match("0x(%x+)"), 16) % 2147483647)
end

function request()
  return wrk.format("GET", nil, { Cookie = string.format("sid=%032d", math.random(0, crowd - 1)) })
end
