import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '../base/failure.ts'

/** The UEFI firmware of this host, as two files: code to read, and variables to copy. */
export interface UefiFirmware {
  readonly code: string
  readonly variables: string
  readonly description: string
}

/** Where QEMU firmware describes itself. Source: QEMU's docs/interop/firmware.json. */
const DESCRIPTIONS = [
  '/etc/qemu/firmware',
  '/usr/local/share/qemu/firmware',
  '/usr/share/qemu/firmware',
]

/** Pairs that some distributions install without a description. */
const KNOWN: readonly (readonly [code: string, variables: string])[] = [
  ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  ['/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'],
  ['/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'],
  ['/usr/share/edk2/x64/OVMF_CODE.4m.fd', '/usr/share/edk2/x64/OVMF_VARS.4m.fd'],
]

/**
 * The UEFI firmware for x86_64 machines without Secure Boot, or undefined when this host has none
 * (Debian's package is `ovmf`). `directories` says where to look for descriptions of firmware.
 */
export async function findFirmware(
  directories: readonly string[] = DESCRIPTIONS,
): Promise<UefiFirmware | undefined> {
  for (const path of await descriptionsIn(directories)) {
    const text = await readFile(path, 'utf8').catch(() => '')
    const firmware = parseDescription(text)
    if (firmware && (await areThere(firmware.code, firmware.variables))) return firmware
  }
  for (const [code, variables] of directories === DESCRIPTIONS ? KNOWN : [])
    if (await areThere(code, variables)) return { code, variables, description: code }
  return undefined
}

/** As `findFirmware`. Fails with TOOL_MISSING when this host has none. */
export async function requireFirmware(): Promise<UefiFirmware> {
  const firmware = await findFirmware()
  if (firmware) return firmware
  throw new Failure('TOOL_MISSING', 'there is no UEFI firmware for virtual machines on this host', {
    fix: 'apt-get install ovmf',
  })
}

/** Earlier directories win over later ones for files of the same name; then by name. */
async function descriptionsIn(directories: readonly string[]): Promise<string[]> {
  const found = new Map<string, string>()
  for (const directory of directories)
    for (const name of await readdir(directory).catch(() => []))
      if (name.endsWith('.json') && !found.has(name)) found.set(name, join(directory, name))
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path)
}

/** The parts of a description that matter here. */
interface Description {
  description?: string
  'interface-types'?: string[]
  features?: string[]
  targets?: { architecture?: string; machines?: string[] }[]
  mapping?: {
    device?: string
    executable?: { filename?: string; format?: string }
    'nvram-template'?: { filename?: string; format?: string }
  }
}

/**
 * What a description says, if it is a UEFI firmware in raw flash for x86_64 q35 machines that boots
 * whatever it finds: no keys enrolled, no system management mode needed.
 */
export function parseDescription(text: string): UefiFirmware | undefined {
  try {
    const found = JSON.parse(text) as Description
    const { executable, 'nvram-template': template, device } = found.mapping ?? {}
    const fits =
      device === 'flash' &&
      found['interface-types']?.includes('uefi') === true &&
      found.targets?.some(
        ({ architecture, machines }) =>
          architecture === 'x86_64' && machines?.some((name) => name.startsWith('pc-q35')),
      ) === true &&
      !found.features?.some((name) => name === 'requires-smm' || name === 'enrolled-keys')
    if (!fits || executable?.format !== 'raw' || template?.format !== 'raw') return undefined
    if (executable.filename === undefined || template.filename === undefined) return undefined
    return {
      code: executable.filename,
      variables: template.filename,
      description: found.description ?? executable.filename,
    }
  } catch {
    return undefined
  }
}

async function areThere(...paths: string[]): Promise<boolean> {
  const checks = paths.map((path) =>
    access(path).then(
      () => true,
      () => false,
    ),
  )
  return (await Promise.all(checks)).every(Boolean)
}
