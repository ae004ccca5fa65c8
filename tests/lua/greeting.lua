-- A page in the manner of a Myghty component: /greeting?user=NAME logs in. docs/ancestors.md quotes it.

function handle(r)
    local user = r:parseargs().user
    if user then
        r.notes["session:do"] = "invalidate"    -- session.invalidate(): what is written beside it has a new id
        r.notes["session.user"] = user          -- session['user'] = user
    end
    r:puts("hello ", user or r.notes["session.user"] or "stranger", "\n")
    return apache2.OK
end
