-- The world of a script: what it may name, behind tables that cannot be written.
--
-- Lua 5.1 has no read-only tables, so a script gets an empty table in front of each: reads fall through to the
-- real one by __index, writes end in __newindex. What would see past that (rawset, next, table.insert...) is
-- replaced by a form that knows the tables in front (`real_of`).

local native, convert, compile, deprecated = ...
local type, error, tostring, select = type, error, tostring, select
local rawset, rawget, next, setmetatable, getmetatable = rawset, rawget, next, setmetatable, getmetatable
local raw_pcall, raw_xpcall, pairs, unpack, tonumber = pcall, xpcall, pairs, unpack, tonumber
local floor, ceil = math.floor, math.ceil

local READONLY = "Attempt to modify a readonly table"
local real_of, front_of, meta_of = {}, {}, {}

local function deny()
  error(READONLY, 2)
end

local function protect(real)
  local front = front_of[real]
  if not front then
    local meta = { __index = real, __newindex = deny, __metatable = false }
    front = setmetatable({}, meta)
    front_of[real], real_of[front], meta_of[front] = front, real, meta
  end
  return front
end

local function writable(value)
  if value ~= nil and real_of[value] then
    error(READONLY, 0)
  end
end

-- An error that a callback raised is an object; scripts get the table or string that it stands for.
local function plain(ok, value, ...)
  if not ok and type(value) == "userdata" then
    return ok, convert(value)
  end
  return ok, value, ...
end

-- pcall gives the words of an error, as Redis's does, not the table that redis.call raises.
local function caught(ok, value, ...)
  if ok then
    return ok, value, ...
  end
  if type(value) == "userdata" then
    value = convert(value)
  end
  if type(value) == "table" then
    local words = value.err
    if type(words) == "string" or type(words) == "number" then
      value = words
    end
  end
  return ok, value
end

local base = {}
for _, name in pairs({ "assert", "error", "gcinfo", "ipairs", "rawequal", "select", "tonumber", "tostring", "type",
                       "_VERSION" }) do
  base[name] = _G[name]
end

-- An argument as Lua's C sees it: the low half of a whole number of 64 bits.
local function int(value)
  local number = tonumber(value)
  if not number then
    return value
  end
  number = number < 0 and ceil(number) or floor(number)
  if not (number > -2 ^ 63 and number < 2 ^ 63) then
    return 0
  end
  number = number % 2 ^ 32
  return number < 2 ^ 31 and number or number - 2 ^ 32
end

-- Lua's own form computes the length of the range in an int, which overflows: it then writes beyond its stack.
function base.unpack(list, from, to)
  if from == nil and to == nil then
    -- As many as Lua can: two arguments less are two results more.
    return unpack(list)
  end
  if type(list) == "table" then
    from, to = int(from == nil and 1 or from), int(to == nil and #list or to)
    if type(from) == "number" and type(to) == "number" and to - from >= 8000 then
      error("too many results to unpack", 2)
    end
  end
  return unpack(list, from, to)
end

function base.pcall(...)
  return caught(raw_pcall(...))
end

function base.xpcall(body, handler)
  return raw_xpcall(body, function(value)
    if type(value) == "userdata" then
      value = convert(value)
    end
    return handler(value)
  end)
end

function base.next(of, key)
  return next(real_of[of] or of, key)
end

function base.pairs(of)
  local real = of ~= nil and real_of[of]
  if real then
    local copy = {}
    for key, value in next, real do
      copy[key] = value
    end
    return next, copy, nil
  end
  return pairs(of)
end

function base.rawget(of, key)
  return rawget(of ~= nil and real_of[of] or of, key)
end

function base.rawset(of, key, value)
  writable(of)
  return rawset(of, key, value)
end

function base.setmetatable(of, meta)
  writable(of)
  return setmetatable(of, meta)
end

local globals_meta = protect({})
local globals = protect(base)

function base.getmetatable(of)
  if of == globals then
    return globals_meta
  end
  if of ~= nil and real_of[of] then
    return nil
  end
  return getmetatable(of)
end

function base.collectgarbage(what, ...)
  if what == "stop" or what == "restart" or what == "setpause" or what == "setstepmul" then
    return 0
  end
  return collectgarbage(what, ...)
end

function base.loadstring(text, name)
  return compile(text, name or text)
end

function base.load(reader, name)
  local pieces = {}
  while true do
    local piece = reader()
    if piece == nil or piece == "" then
      break
    end
    if type(piece) ~= "string" then
      return nil, "reader function must return a string"
    end
    pieces[#pieces + 1] = piece
  end
  return compile(table.concat(pieces), name or "=(load)")
end

-- What Redis gave up for safety: only where `lua-enable-deprecated-api` says so, and in forms that stay inside.
-- The functions of this file have the real globals as their environment: scripts get the table in front instead.
if deprecated then
  local outside, getfenv, setfenv, newproxy = _G, getfenv, setfenv, newproxy

  -- The caller's level, or a function, as it is seen from one call further in.
  local function meant(of)
    local level = of == nil and 1 or tonumber(of)
    return level and (level >= 1 and level + 1 or level) or of
  end

  function base.getfenv(of)
    of = meant(of)
    local environment = getfenv(of)
    return environment == outside and globals or environment
  end

  function base.setfenv(of, environment)
    of = meant(of)
    if of == 0 or getfenv(of) == outside then
      error("'setfenv' cannot change environment of given object", 2)
    end
    local changed = setfenv(of, environment)
    return changed
  end

  -- A finalizer would run in the middle of anything: what is set as one is kept where Lua does not look.
  function base.newproxy(of)
    local proxy = newproxy(of)
    if of == true then
      local meta = getmetatable(proxy)
      local shown = { __index = meta }
      function shown.__newindex(front, name, value)
        if name == "__gc" or name == "__metatable" then
          rawset(front, name, value)
        else
          meta[name] = value
        end
      end
      meta.__metatable = setmetatable({}, shown)
    end
    return proxy
  end
end

local function copy(of)
  local made = {}
  for key, value in next, of do
    made[key] = value
  end
  return made
end

local tables = copy(table)
for _, name in pairs({ "insert", "remove", "sort", "setn" }) do
  local native_form = table[name]
  tables[name] = function(of, ...)
    writable(of)
    return native_form(of, ...)
  end
end

local routines = copy(coroutine)
local resume = coroutine.resume
function routines.resume(...)
  return plain(resume(...))
end

-- Lua's own forms follow a pattern by calls of C, one in another for each of its items, until the stack is used up.
local texts = copy(string)
for _, name in pairs({ "find", "match", "gmatch", "gfind", "gsub" }) do
  local native_form = string[name]
  texts[name] = function(text, pattern, ...)
    if type(pattern) == "string" and #pattern > 2000 then
      error("pattern too complex", 2)
    end
    return native_form(text, pattern, ...)
  end
end
getmetatable("").__index = protect(texts)
getmetatable("").__metatable = protect(getmetatable(""))

native.table, native.coroutine, native.string = tables, routines, texts
local maths = copy(math)
for name, value in pairs(native.math) do
  maths[name] = value
end
native.math = maths
for name, value in pairs(native) do
  base[name] = type(value) == "table" and protect(value) or value
end
base._G = globals

setmetatable(base, {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
})

-- The whole of a script: what it returns, or what its error came to.
local function run(handler, body, ...)
  if select("#", ...) == 0 then
    return raw_xpcall(body, handler)
  end
  local first, second = ...
  return raw_xpcall(function()
    return body(first, second)
  end, handler)
end

-- What scripts see as globals from now on.
local function show(real)
  meta_of[globals].__index = real
end

return globals, base, run, protect, show
