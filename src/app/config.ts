/**
 * Configuration: defaults, then the YAML file, then the environment, then flags; parsed once,
 * checked, frozen, handed down in pieces. This is the only file that reads the environment.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import type { Static } from 'typebox'
import { asFileFailure, Failure, messageOf, systemCode } from '../base/failure.ts'
import { defaultCacheDir, defaultDataDir, defaultTempDir } from '../base/paths.ts'
import { findFaults } from '../schema/find-faults.ts'
import { Type } from '../schema/type.ts'
import { isMapping, Layers, type Mapping, type Setting, settingsOf } from './_layers.ts'
import { KEYSTONE_DEFAULTS, serviceDefaults, serviceSettings } from './service-config.ts'

/** Every setting: meaning, unit and default. */
const configSchema = Type.Object(
  {
    cache_dir: Type.String({
      description: 'directory for downloads, packages and probes that are kept between runs',
    }),
    temp_dir: Type.String({
      description: 'directory for working copies; needs room for a whole image',
    }),
    command_timeout_s: Type.Number({
      minimum: 1,
      description: 'seconds that one command of a recipe may take',
    }),
    accelerator: Type.Union([Type.Literal('auto'), Type.Literal('kvm'), Type.Literal('tcg')], {
      description:
        'how virtual machines run: kvm (the processor), tcg (emulated), or auto (probe once, then remember)',
    }),
    guest_network: Type.Union([Type.Literal('public'), Type.Literal('host')], {
      description:
        'what guests reach: public (the public internet, and mirrors and proxies of this host), or host (whatever this host reaches, its own services too)',
    }),
    jobs: Type.Integer({
      minimum: 1,
      maximum: 1000,
      description: 'hosts that are worked on at the same time',
    }),
    log_level: Type.Union(
      [Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')],
      { description: 'which events are logged on standard error' },
    ),
    ...serviceSettings,
  },
  { additionalProperties: false },
)

export type Config = Readonly<Static<typeof configSchema>>

export interface LoadedConfig {
  readonly config: Config
  /** Where each value came from, by its path (`image.max_size`): `default`, `file PATH`, `environment NAME`, `flag`. */
  readonly sources: ReadonlyMap<string, string>
}

/** Every setting that has a value of its own, in order. */
export const SETTINGS: readonly Setting[] = settingsOf(configSchema)

function defaultsFor(env: NodeJS.ProcessEnv): Config {
  return {
    cache_dir: defaultCacheDir(env),
    temp_dir: defaultTempDir(),
    command_timeout_s: 1800,
    accelerator: 'auto',
    guest_network: 'public',
    jobs: 8,
    log_level: 'warn',
    ...serviceDefaults(defaultDataDir(env)),
  }
}

/**
 * Reads the configuration. `file` must exist when it is given; else `INGOT_CONFIG`, else
 * `ingot/config.yaml` in the user's configuration directory if it is there.
 * Fails with CONFIG_INVALID, FILE_NOT_FOUND.
 */
export function loadConfig(
  options: { file?: string | undefined; flags?: Mapping; env?: NodeJS.ProcessEnv } = {},
): LoadedConfig {
  const env = options.env ?? process.env
  const layers = new Layers(configSchema, defaultsFor(env))
  const file = readConfigFile(options.file ?? env['INGOT_CONFIG'], env)
  if (file) layers.add(withKeystoneDefaults(file.values), () => `file ${file.path}`)
  for (const setting of SETTINGS) {
    const name = variableOf(setting)
    const text = env[name]
    if (text !== undefined && text !== '')
      layers.set(setting.path, fromText(setting, text), `environment ${name}`)
  }
  layers.add(options.flags ?? {}, () => 'flag')
  const faults = findFaults(configSchema, layers.values)
  if (faults.length > 0)
    throw new Failure(
      'CONFIG_INVALID',
      faults
        .map(({ path, message }) => `${layers.sourceOf(path)}: ${path.join('.')}: ${message}`)
        .join('\n'),
    )
  return { config: deepFreeze(layers.values) as Config, sources: layers.sources }
}

/** A section `auth.keystone` has defaults of its own: left out, there is none. */
function withKeystoneDefaults(values: Mapping): Mapping {
  const { auth } = values
  if (!isMapping(auth) || !isMapping(auth['keystone'])) return values
  return { ...values, auth: { ...auth, keystone: { ...KEYSTONE_DEFAULTS, ...auth['keystone'] } } }
}

/** `image.max_size` as `INGOT_IMAGE_MAX_SIZE`. */
function variableOf({ path }: Setting): string {
  return `INGOT_${path.join('_').toUpperCase()}`
}

/** What a text of the environment stands for; what it cannot stand for is told by the schema. */
function fromText({ type, items }: Setting, text: string): unknown {
  if (type === 'number' || type === 'integer') return asNumber(text)
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (type !== 'array') return text
  const parts = text.split(',').map((part) => part.trim())
  return items === 'integer' ? parts.map(asNumber) : parts
}

function asNumber(text: string): number | string {
  return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text)
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze)
    Object.freeze(value)
  }
  return value
}

function readConfigFile(
  named: string | undefined,
  env: NodeJS.ProcessEnv,
): { path: string; values: Mapping } | undefined {
  const path =
    named ?? join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'ingot', 'config.yaml')
  try {
    const values = parseYaml(readFileSync(path, 'utf8')) ?? {}
    if (!isMapping(values))
      throw new Failure('CONFIG_INVALID', `${path}: wanted a mapping of settings`)
    return { path: isAbsolute(path) ? path : resolve(path), values }
  } catch (error) {
    if (error instanceof Failure) throw error
    if (systemCode(error) === 'ENOENT' && named === undefined) return undefined
    if (systemCode(error) !== undefined && systemCode(error)?.startsWith('E'))
      throw asFileFailure(error, path)
    const [fault = ''] = messageOf(error).split(/:?\n/) // without the picture of the place
    throw new Failure('CONFIG_INVALID', `${path}: ${fault}`, { cause: error })
  }
}

/** Loaded when there is a file: it takes as long as all the rest of a start. */
function parseYaml(text: string): unknown {
  const { parse } = createRequire(import.meta.url)('yaml') as typeof import('yaml')
  return parse(text, { maxAliasCount: 100 })
}

/** Values for arguments of a recipe that the environment gives: `INGOT_ARG_<variable>`. */
export function argumentFromEnvironment(
  variable: string,
  env: NodeJS.ProcessEnv = process.env,
): string | undefined {
  return env[`INGOT_ARG_${variable}`] ?? env[`INGOT_ARG_${variable.toUpperCase()}`]
}

/** What the environment says to OpenStack's clients: `OS_AUTH_URL`, `OS_CLOUD`. */
export function openstackFromEnvironment(
  env: NodeJS.ProcessEnv = process.env,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      name.startsWith('OS_') && value !== undefined && value !== '' ? [[name, value]] : [],
    ),
  )
}

/** Proxies of the environment, as programs that download understand them. */
export function proxiesFromEnvironment(
  env: NodeJS.ProcessEnv = process.env,
): Readonly<Record<string, string>> {
  const names = ['http_proxy', 'https_proxy', 'no_proxy']
  return Object.fromEntries(
    [...names, ...names.map((name) => name.toUpperCase())].flatMap((name) => {
      const value = env[name]
      return value === undefined || value === '' ? [] : [[name, value]]
    }),
  )
}
