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
import { defaultCacheDir, defaultTempDir } from '../base/paths.ts'
import { didYouMean, findFaults } from '../schema/find-faults.ts'
import { Type } from '../schema/type.ts'

/** Every setting: meaning, unit and default. */
export const configSchema = Type.Object(
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
    jobs: Type.Integer({
      minimum: 1,
      maximum: 1000,
      description: 'hosts that are worked on at the same time',
    }),
    log_level: Type.Union(
      [Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')],
      { description: 'which events are logged on standard error' },
    ),
  },
  { additionalProperties: false },
)

export type Config = Readonly<Static<typeof configSchema>>
type Key = keyof Config

export interface LoadedConfig {
  readonly config: Config
  /** Where each value came from: `default`, `file PATH`, `environment NAME`, `flag`. */
  readonly sources: Readonly<Record<Key, string>>
}

const KEYS = Object.keys(configSchema.properties) as Key[]

function defaultsFor(env: NodeJS.ProcessEnv): Config {
  return {
    cache_dir: defaultCacheDir(env),
    temp_dir: defaultTempDir(),
    command_timeout_s: 1800,
    accelerator: 'auto',
    jobs: 8,
    log_level: 'warn',
  }
}

/**
 * Reads the configuration. `file` must exist when it is given; else `INGOT_CONFIG`, else
 * `ingot/config.yaml` in the user's configuration directory if it is there.
 * Fails with CONFIG_INVALID, FILE_NOT_FOUND.
 */
export function loadConfig(
  options: { file?: string | undefined; flags?: Partial<Config>; env?: NodeJS.ProcessEnv } = {},
): LoadedConfig {
  const env = options.env ?? process.env
  const values: Record<string, unknown> = { ...defaultsFor(env) }
  const sources = Object.fromEntries(KEYS.map((key) => [key, 'default'])) as Record<Key, string>
  const take = (given: Record<string, unknown>, sourceOf: (key: string) => string) => {
    for (const [key, value] of Object.entries(given)) {
      if (!KEYS.includes(key as Key))
        throw new Failure(
          'CONFIG_INVALID',
          `${sourceOf(key)}: unknown setting '${key}'${didYouMean(key, KEYS) || `; wanted one of ${KEYS.join(', ')}`}`,
        )
      values[key] = value
      sources[key as Key] = sourceOf(key)
    }
  }
  const file = readConfigFile(options.file ?? env['INGOT_CONFIG'], env)
  if (file) take(file.values, () => `file ${file.path}`)
  const fromEnv = KEYS.flatMap((key) => {
    const text = env[variableOf(key)]
    return text === undefined || text === '' ? [] : [[key, fromText(key, text)] as const]
  })
  take(Object.fromEntries(fromEnv), (key) => `environment ${variableOf(key)}`)
  take(
    Object.fromEntries(
      Object.entries(options.flags ?? {}).filter(([, value]) => value !== undefined),
    ),
    () => 'flag',
  )
  const faults = findFaults(configSchema, values)
  if (faults.length > 0)
    throw new Failure(
      'CONFIG_INVALID',
      faults
        .map(
          ({ path, message }) =>
            `${sources[path[0] as Key] ?? 'configuration'}: ${path.join('.')}: ${message}`,
        )
        .join('\n'),
    )
  return { config: Object.freeze(values) as Config, sources: Object.freeze(sources) }
}

/** `cache_dir` as `INGOT_CACHE_DIR`. */
function variableOf(key: string): string {
  return `INGOT_${key.toUpperCase()}`
}

function fromText(key: Key, text: string): unknown {
  const type: unknown = Reflect.get(configSchema.properties[key], 'type')
  return (type === 'number' || type === 'integer') && text.trim() !== '' ? Number(text) : text
}

function readConfigFile(
  named: string | undefined,
  env: NodeJS.ProcessEnv,
): { path: string; values: Record<string, unknown> } | undefined {
  const path =
    named ?? join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'ingot', 'config.yaml')
  try {
    const values = parseYaml(readFileSync(path, 'utf8')) ?? {}
    if (typeof values !== 'object' || values === null || Array.isArray(values))
      throw new Failure('CONFIG_INVALID', `${path}: wanted a mapping of settings`)
    return {
      path: isAbsolute(path) ? path : resolve(path),
      values: values as Record<string, unknown>,
    }
  } catch (error) {
    if (error instanceof Failure) throw error
    if (systemCode(error) === 'ENOENT' && named === undefined) return undefined
    if (systemCode(error) !== undefined && systemCode(error)?.startsWith('E'))
      throw asFileFailure(error, path)
    throw new Failure('CONFIG_INVALID', `${path}: ${messageOf(error)}`, { cause: error })
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
