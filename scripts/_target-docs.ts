/** Tables of docs/targets.md: what each cloud target takes, from its schemas. */
import type { TSchema } from 'typebox'
import { containerTarget } from '../src/factory/targets/container.ts'
import { fileTarget } from '../src/factory/targets/file.ts'
import { hypervTarget } from '../src/factory/targets/hyperv.ts'
import { libvirtTarget } from '../src/factory/targets/libvirt.ts'
import { openstackTarget } from '../src/factory/targets/openstack.ts'
import { ovaTarget } from '../src/factory/targets/ova.ts'
import { keyTable } from './_markdown.ts'

interface Described {
  readonly name: string
  readonly options: TSchema
  readonly provider?: { readonly options: TSchema; readonly credentials: TSchema }
}

/** Those whose tables stand in the page, between marks with their names. */
const TARGETS: readonly Described[] = [
  openstackTarget,
  containerTarget,
  fileTarget,
  ovaTarget,
  libvirtTarget,
  hypervTarget,
]

export function makeTargets(): Record<string, string> {
  return Object.fromEntries(TARGETS.map((target) => [target.name, describe(target)]))
}

function describe({ options, provider }: Described): string {
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
