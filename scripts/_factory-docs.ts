/** Tables of docs/factory.md and docs/targets.md: what each OS builder and each cloud target takes, from its schemas. */
import type { TSchema } from 'typebox'
import { cloudTargets, osBuilders } from '../src/app/builtin-factory.ts'
import { hostUplink } from '../src/remotes/uplink.ts'
import { keyTable } from './_markdown.ts'

/** Nothing is built or pushed: what parts take does not depend on where they are. */
const HOST = { cacheDir: '', proxies: {}, openstack: {}, uplink: hostUplink, version: '' }
/** The mock is for trials, and docs/installer.md is all about the installer. */
const UNTOLD = ['mock', 'installer']

export function makeBuilders(): Record<string, string> {
  const told = osBuilders(HOST, { remotes: {} }).filter(({ name }) => !UNTOLD.includes(name))
  return Object.fromEntries(told.map(({ name, options }) => [name, keyTable(options)]))
}

export function makeTargets(): Record<string, string> {
  const told = cloudTargets(HOST).filter(({ name }) => !UNTOLD.includes(name))
  return Object.fromEntries(told.map((target) => [target.name, describe(target)]))
}

function describe({ options, provider }: ReturnType<typeof cloudTargets>[number]): string {
  const credentials = provider && hasKeys(provider.credentials) ? provider.credentials : undefined
  return [
    'Parameters:',
    keyTable(options),
    ...(provider ? ['Options of a provider:', keyTable(provider.options)] : []),
    ...(credentials ? ['Credentials:', keyTable(credentials)] : []),
  ].join('\n\n')
}

function hasKeys(schema: TSchema & { readonly properties?: object }): boolean {
  return Object.keys(schema.properties ?? {}).length > 0
}
