-- The page at /: a session through request notes, as any language inside httpd can use it.
-- The module publishes the notes before this handler runs and stores what it changed afterwards.

local HERE = "/"

local function ago(microseconds)
    local seconds = os.time() - (tonumber(microseconds) or 0) // 1000000
    if seconds < 1 then return "just now" end
    if seconds < 60 then return ("%d s ago"):format(seconds) end
    if seconds < 3600 then return ("%d min ago"):format(seconds // 60) end
    return ("%d h ago"):format(seconds // 3600)
end

local function span(seconds)
    seconds = tonumber(seconds) or 0
    if seconds % 60 > 0 then return ("%d s"):format(seconds) end
    return ("%d min"):format(seconds // 60)
end

local function read(path)
    local file = assert(io.open(path))
    local text = file:read("a")
    file:close()
    return text
end

local function pid()
    return read("/proc/self/stat"):match("^%d+")
end

-- r:notes_table() is a copy to walk through; r.notes is the table itself.
local function values(r)
    local keys = {}
    for name in pairs(r:notes_table()) do
        local key = name:match("^session%.(.+)")
        if key then keys[#keys + 1] = key end
    end
    table.sort(keys)
    return keys
end

local function rows(r)
    local out = {}
    for _, key in ipairs(values(r)) do
        local shown = r:escape_html(key)
        out[#out + 1] = ([[
      <tr><td>%s</td><td>%s</td><td><form method="post" action="%s"><input type="hidden" name="key" value="%s"><button name="do" value="remove" aria-label="Remove %s">Remove</button></form></td></tr>
]]):format(shown, r:escape_html(r.notes["session." .. key]), HERE, shown, shown)
    end
    return table.concat(out)
end

local function greeting(note)
    if note["session:invalidated"] == "1" then
        return "Your cookie names no session any more. This visit began a new one."
    elseif note["session:new"] == "1" then
        return "Welcome. This visit began a session; your browser got its id in a cookie."
    end
    return "Welcome back. The server remembers you, in whichever of its processes you arrive."
end

local function page(r, status, complaint)
    local note = r.notes
    local new = note["session:new"] == "1"
    local fields = {
        door = "lua",
        here = HERE,
        error = complaint and '<p class="error" role="alert">' .. complaint .. "</p>" or "",
        visits = r:escape_html(note["session.visits"] or "0"),
        greeting = greeting(note),
        ref = note["session:ref"] and "<code>" .. note["session:ref"] .. "</code>" or "from the next visit on",
        created = new and "with this visit" or ago(note["session:created"]),
        accessed = new and "never before" or ago(note["session:accessed"]),
        timeout = span(note["session:timeout"]),
        pid = pid(),
        rows = rows(r),
        dir = r:escape_html(r.filename:match("^(.*/)") .. "sessions"),
    }
    local html = read(r.filename:match("^(.*/)") .. "page.html"):gsub("{{(%w+)}}", fields)
    r.status = status
    r.content_type = "text/html; charset=utf-8"
    r:puts(html)
    return apache2.OK
end

local function change(r)
    local note, form = r.notes, r:parsebody(16384)
    if form["do"] == "logout" then
        note["session:do"] = "invalidate"
    elseif form["do"] == "remove" then
        note["session." .. (form.key or "")] = nil
    elseif form["do"] == "set" then
        local key, value = form.key or "", form.value or ""
        if #key < 1 or #key > 64 or key:find("%c") or not utf8.len(key) then
            return page(r, 422, "A key is 1 to 64 bytes of text without control characters.")
        elseif #value > 1000 then
            return page(r, 422, "A value here has at most 1000 bytes.")
        end
        note["session." .. key] = value
    else
        return 400
    end
    -- Not the page itself: a reload must not send the form again.
    r.headers_out["Location"] = HERE
    return 303
end

function handle(r)
    if r.notes["session:error"] then
        return 503
    elseif r.method == "POST" then
        return change(r)
    elseif r.method == "GET" then
        local n = tonumber(r.notes["session.visits"]) or 0
        r.notes["session.visits"] = ("%.0f"):format(n + 1)
    elseif r.method ~= "HEAD" then
        return 405
    end
    return page(r, 200)
end
