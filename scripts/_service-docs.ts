/** What pages about the image service show of its code: routes, formats, imports, settings, stores, rules. */
import { DEFAULT_RULES } from '../src/access/default-rules.ts'
import { importMethods, importSteps, storeDrivers } from '../src/app/builtin-service.ts'
import { loadConfig, SETTINGS } from '../src/app/config.ts'
import { KEYSTONE_DEFAULTS } from '../src/app/service-config.ts'
import { VIEW_FORMATS } from '../src/formats/views.ts'
import { createServer } from '../src/http/server.ts'
import { listKeys } from '../src/schema/list-keys.ts'
import { openTestService } from '../src/testing/test-service.ts'
import { keyTable, toTable } from './_markdown.ts'

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly summary?: string }>>>>
}

/** Every route, as the server describes itself. A route that does not say what it is for is a fault. */
export async function makeRoutes(): Promise<string> {
  await using service = await openTestService()
  const app = createServer(service)
  const { paths } = (await app.inject('/openapi.json')).json<OpenApi>()
  await app.close()
  const rows = Object.entries(paths)
    .filter(([path]) => path !== '/versions/')
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { summary }]) => {
        if (summary === undefined) throw new Error(`${method} ${path} has no summary`)
        return [path, method.toUpperCase(), summary] as const
      }),
    )
  const sorted = rows.toSorted(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0))
  return toTable(['path', 'method', 'what it is for'], mergeMethods(sorted))
}

/** GET and HEAD of one path are one row. */
function mergeMethods(rows: readonly (readonly [string, string, string])[]): string[][] {
  return rows
    .filter(([, method]) => method !== 'HEAD')
    .map(([path, method, summary]) => {
      const hasHead = rows.some(([other, head]) => other === path && head === 'HEAD')
      const shown = method === 'GET' && hasHead ? 'GET, HEAD' : method
      return [`\`${path}\``, shown, summary]
    })
}

/** Formats of downloads, and their media types. */
export function makeMediaTypes(): string {
  const rows = VIEW_FORMATS.map(({ name, mediaType, needs }) => {
    const isFirst = VIEW_FORMATS.find((one) => one.mediaType === mediaType)?.name === name
    return [`\`${name}\``, isFirst ? `\`${mediaType}\`` : '', needs === 'map' ? '' : 'yes']
  })
  return toTable(['`disk_format`', 'asked for by `Accept`', 'compressed'], rows)
}

export function makeImportMethods(): string {
  const rows = importMethods.map(({ name, summary, from, options }) => {
    const keys = listKeys(options).map(({ key, required }) => `\`${key}\`${required ? '' : '?'}`)
    return [`\`${name}\``, summary, from, keys.join(', ')]
  })
  return toTable(['method', 'brings', 'the image is', 'beside `name`'], rows)
}

export function makeImportSteps(): string {
  return toTable(
    ['step', 'what it does'],
    importSteps.map(({ name, summary }) => [`\`${name}\``, summary]),
  )
}

/** Defaults that differ from user to user. */
const OF_USERS: Readonly<Record<string, string>> = {
  data_dir: '`/var/lib/ingot`; for others than root `~/.local/share/ingot`',
  cache_dir: '`~/.cache/ingot`',
  temp_dir: '`/tmp`, or what `TMPDIR` says',
}

/** Every setting: what it means, its default, the variable that sets it. */
export function makeSettings(): string {
  const { config } = loadConfig({ env: { XDG_CONFIG_HOME: '/nonexistent' } })
  const rows = SETTINGS.map((setting) => {
    const name = setting.path.join('.')
    const value = OF_USERS[name] ?? toDefault(valueAt(config, setting.path))
    const isPlain = setting.type !== 'object' && setting.items !== 'object'
    return [`\`${name}\``, setting.description, value, isPlain ? variableOf(setting.path) : '']
  })
  return toTable(['setting', 'meaning', 'default', 'in the environment'], rows)
}

function variableOf(path: readonly string[]): string {
  return `\`INGOT_${path.join('_').toUpperCase()}\``
}

/** The section `auth.keystone` has defaults once it is there. */
function valueAt(config: object, path: readonly string[]): unknown {
  const [section, part, key = ''] = path
  if (section === 'auth' && part === 'keystone')
    return (KEYSTONE_DEFAULTS as Readonly<Record<string, unknown>>)[key]
  return path.reduce<unknown>(
    (at, name) => (at as Record<string, unknown> | undefined)?.[name],
    config,
  )
}

function toDefault(value: unknown): string {
  if (value === undefined) return ''
  const isList = Array.isArray(value) && value.every((one) => typeof one !== 'object')
  const text = isList ? value.join(', ') : typeof value === 'string' ? value : JSON.stringify(value)
  return text === '' || text === '{}' ? 'none' : `\`${text}\``
}

/** Every store driver, and its options. */
export function makeStores(): string {
  return storeDrivers
    .map(({ name, summary, options }) =>
      [
        `### \`${name}\``,
        `${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
        keyTable(options),
      ].join('\n\n'),
    )
    .join('\n\n')
}

/** Every rule of the policy, and its default. */
export function makeRules(): string {
  const rows = DEFAULT_RULES.map(({ name, check, summary }) => [
    `\`${name}\``,
    summary,
    check === '' ? 'everybody' : `\`${check}\``,
  ])
  return toTable(['rule', 'what it guards', 'who may, by default'], rows)
}
