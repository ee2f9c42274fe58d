/**
 * Plugins: modules, named in the configuration, that bring parts of their own. The built-in parts are the first
 * plugin, so to say; whatever a later one brings stands beside them, and no name may come twice.
 */
import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Failure, messageOf } from '../base/failure.ts'
import type { CloudTarget } from '../factory/cloud-target.ts'
import type { OsBuilder } from '../factory/os-builder.ts'
import type { ImportMethod } from '../imports/method.ts'
import type { ImportStep } from '../imports/step.ts'
import type { Validator } from '../recipes/validator.ts'
import type { StoreDriver } from '../stores/store.ts'
import { openPluginDoors } from './plugin-doors.ts'

/** What a module's `plugin` (or default) export is. */
export interface Plugin {
  /** For failures and `ingot factory plugins`. */
  readonly name: string
  readonly validators?: readonly Validator[]
  readonly storeDrivers?: readonly StoreDriver[]
  readonly importMethods?: readonly ImportMethod[]
  readonly importSteps?: readonly ImportStep[]
  readonly osBuilders?: readonly OsBuilder[]
  readonly cloudTargets?: readonly CloudTarget[]
}

export function definePlugin(plugin: Plugin): Plugin {
  return plugin
}

/**
 * Loads plugins by package name or absolute path; what they import as `ingot/plugin` is this Ingot. Fails with
 * CONFIG_INVALID.
 */
export async function loadPlugins(specifiers: readonly string[]): Promise<Plugin[]> {
  if (specifiers.length > 0) openPluginDoors()
  return await Promise.all(specifiers.map(loadPlugin))
}

async function loadPlugin(specifier: string): Promise<Plugin> {
  const address = isAbsolute(specifier) ? pathToFileURL(specifier).href : specifier
  const module = await import(address).catch((cause: unknown) => {
    throw new Failure(
      'CONFIG_INVALID',
      `plugins: ${specifier} cannot be loaded: ${messageOf(cause)}`,
      {
        cause,
        fix: 'Name an installed package, or the absolute path of a module.',
      },
    )
  })
  const { plugin, default: fallback } = module as Record<string, unknown>
  const found = plugin ?? fallback
  if (!isPlugin(found))
    throw new Failure(
      'CONFIG_INVALID',
      `plugins: ${specifier} exports no 'plugin' with a name (see docs/plugins.md)`,
    )
  return found
}

function isPlugin(value: unknown): value is Plugin {
  return (
    typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string'
  )
}

interface NamedPart {
  readonly name: string
  readonly aliases?: readonly string[]
}

/** Built-in parts and those of plugins, in order. Fails with CONFIG_INVALID when a name comes twice. */
export function joinParts<Part extends NamedPart>(
  kind: string,
  builtin: readonly Part[],
  plugins: readonly Plugin[],
  partsOf: (plugin: Plugin) => readonly Part[] | undefined,
): Part[] {
  const owners = new Map<string, string>()
  const claim = (part: Part, owner: string): Part => {
    for (const name of [part.name, ...(part.aliases ?? [])]) {
      const other = owners.get(name)
      if (other !== undefined)
        throw new Failure(
          'CONFIG_INVALID',
          `plugins: ${owner} brings the ${kind} '${name}', which ${other} has already`,
        )
      owners.set(name, owner)
    }
    return part
  }
  return [
    ...builtin.map((part) => claim(part, 'Ingot itself')),
    ...plugins.flatMap((plugin) =>
      (partsOf(plugin) ?? []).map((part) => claim(part, `the plugin ${plugin.name}`)),
    ),
  ]
}
