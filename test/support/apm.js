/**
 * The two ends of an installation through apm, each a process of its own: the registry, as it answers, and a client, as
 * it installs. They are written after what the published ones do: hexadecimal sources, tags, the source wrapped into a
 * function body whose value goes to package.loaded. With AOS_PROCESS, aos's own client is used where the checkout has it.
 */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

/** Keeps what is published, answers downloads with the latest version, or the one that is asked for. */
export const registry = `
  local json = require("json")
  Packages = Packages or {}
  local function hexadecimal(text) return (text:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)) end
  Handlers.add("APM.Publish", Handlers.utils.hasMatchingTag("Action", "APM.Publish"), function(msg)
    local data, tags = json.decode(msg.Data), msg.Tags
    local warnings = json.decode(tags.Warnings)
    assert(type(warnings.modifiesGlobalState) == "boolean" and type(warnings.installMessage) == "string", "Invalid warnings")
    assert(#json.decode(tags.Keywords) <= 5, "Too many keywords")
    assert(json.decode(tags.Authors) and json.decode(tags.Dependencies), "Invalid lists")
    assert(tags.Version:match("^%d+%.%d+%.%d+$") and tags.Vendor:match("^@[a-z0-9-]+$") and tags.Name:match("^[%w%-_]+$"), "Invalid name")
    assert(tags.License and tags.Repository and tags.Description and data.readme, "Something is missing")
    local name = tags.Vendor .. "/" .. tags.Name
    local versions = Packages[name] or {}
    assert(#versions == 0 or versions[#versions].Version < tags.Version, "Version should be greater than the existing one")
    versions[#versions + 1] = { Version = tags.Version, Source = hexadecimal(data.source), Warnings = tags.Warnings, Dependencies = tags.Dependencies }
    Packages[name] = versions
    Send({ Target = msg.From, Result = "success", Data = "Published " .. name .. "@" .. tags.Version })
  end)
  Handlers.add("APM.Download", Handlers.utils.hasMatchingTag("Action", "APM.Download"), function(msg)
    local name, version = msg.Data:match("^(@[%w-]+/[%w%-_]+)@?(.*)$")
    local versions, found = Packages[name] or {}, nil
    for _, package in ipairs(versions) do
      if version == "" or package.Version == version then found = package end
    end
    assert(found, "Package not found")
    Send({ Target = msg.From, Result = "success", PkgID = "PACKAGE", Name = name, Version = found.Version, Data = found.Source,
      Warnings = found.Warnings, Dependencies = found.Dependencies, Action = "APM.DownloadResponse", LatestClientVersion = "2.0.6" })
  end)
  return "registry"`;

const standIn = `
  local json = require("json")
  local client = { ID = "REGISTRY-ADDRESS-43-CHARACTERS-LONG-0123456", _version = "2.0.6", installed = {} }
  function client.install(name)
    local wanted = name:find("^@") and name or "@apm/" .. name
    Send({ Target = client.ID, Action = "APM.Download", Data = wanted })
    return "requested " .. wanted
  end
  function client.uninstall(name)
    assert(client.installed["@apm/" .. name], "Package not installed")
    client.installed["@apm/" .. name] = nil
    package.loaded[name] = nil
    return "uninstalled " .. name
  end
  Handlers.add("APM.DownloadResponse", Handlers.utils.hasMatchingTag("Action", "APM.DownloadResponse"), function(msg)
    local source = msg.Data:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end)
    local body = ("local function _load()\\n%s\\nend\\n_G.package.loaded[\\"%s\\"] = _load()"):format(source, msg.Name:match("^@apm/(.+)$") or msg.Name)
    local install, problem = load(body)
    assert(install, problem)
    install()
    client.installed[msg.Name] = msg.Version
    for name, dependency in pairs(json.decode(msg.Dependencies)) do error("a dependency on " .. name .. "@" .. dependency.version) end
    print("Downloaded " .. msg.Name .. "@" .. msg.Version)
  end)
  return client`;

/** aos's own client out of a checkout, where there is one. */
export function ownClient(folder = process.env.AOS_PROCESS) {
  const file = folder && path.join(folder, "apm.lua");
  return file && existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

/** An Eval that gives a process the client under a global name. @param {string} name @param {string} [source] */
export function clientAs(name, source = standIn) {
  return `${name} = (function()\n${source}\nend)()\n${name}.ID = "REGISTRY-ADDRESS-43-CHARACTERS-LONG-0123456" return "${name}"`;
}

export const registryId = "REGISTRY-ADDRESS-43-CHARACTERS-LONG-0123456";
