/** One Debian image, booted straight from each view over HTTP: no format is ever written to a disk. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import {
  findProgram,
  killGroup,
  runProcess,
  startProcess,
  stopProcess,
} from '../src/base/process.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const full = process.env['INGOT_TEST_FULL'] === '1'
const missing = ['mmdebstrap', 'qemu-system-x86_64'].filter((name) => !findProgram(name))
const skip = !full
  ? 'boots a guest for each view: make test-full'
  : process.geteuid?.() !== 0
    ? 'needs root'
    : missing.length > 0 && `needs ${missing.join(', ')}`

/** A view, as it is served, and the driver of QEMU that reads it. */
const VIEWS = [
  ['disk.raw', 'raw'],
  ['disk.qcow2', 'qcow2'],
  ['disk.vhd', 'vpc'],
  ['disk.vhdx', 'vhdx'],
  ['disk.vdi', 'vdi'],
  ['disk.vmdk', 'vmdk'],
] as const

const RECIPE = `
name: boots
base: {distro: debian, release: bookworm}
disk: {size: 2G}
validators:
  - file: {path: /etc/greeting, template: hello}
`
const BOOT_TIMEOUT_MS = 600_000

describe('a Debian image', { skip, timeout: 5_400_000 }, () => {
  let directory = ''
  let server: ReturnType<typeof startProcess> | undefined
  let url = ''

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ingot-boot-views-'))
    const recipe = join(directory, 'boots.yaml')
    const image = join(directory, 'boots.raw')
    await writeFile(recipe, RECIPE)
    const built = await runProcess([INGOT, 'build', recipe, '--output', image])
    assert.equal(built.code, 0, built.stderr.toString())
    server = startProcess([INGOT, 'view', image, '--listen', '127.0.0.1:0', '--json'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    url = await lineWith(server.stdout, /http:\/\/[\d.]+:\d+/)
  })
  after(async () => {
    if (server) await stopProcess(server)
    await rm(directory, { recursive: true, force: true })
  })

  for (const [name, driver] of VIEWS)
    it(`boots from its view ${name}`, async () => {
      const serial = join(directory, `${name}.log`)
      const drive = `driver=${driver},file.driver=http,file.url=${url}/${name},file.timeout=60,if=virtio,snapshot=on`
      const machine = startProcess(
        ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-m', '768', '-smp', '2']
          .concat([
            '-display',
            'none',
            '-monitor',
            'none',
            '-serial',
            `file:${serial}`,
            '-drive',
            drive,
          ])
          .concat(['-nic', 'none']),
        { stdio: 'ignore' },
      )
      const timer = globalThis.setTimeout(() => killGroup(machine, 'SIGKILL'), BOOT_TIMEOUT_MS)
      try {
        while (machine.exitCode === null && !/login:/.test(await textOf(serial)))
          await setTimeout(1000)
        assert.match(await textOf(serial), /login:/)
      } finally {
        clearTimeout(timer)
        await stopProcess(machine)
      }
    })
})

/** What matches first in the output; fails with the end of the output when that comes first. */
async function lineWith(output: NodeJS.ReadableStream | null, pattern: RegExp): Promise<string> {
  return await new Promise((resolve, reject) => {
    let text = ''
    output?.on('data', (chunk: unknown) => {
      text = (text + String(chunk)).slice(-16_384)
      const match = pattern.exec(text)
      if (match) resolve(match[0])
    })
    output?.on('end', () =>
      reject(new Error(`ended without ${String(pattern)}: ${text.slice(-2000)}`)),
    )
  })
}

async function textOf(path: string): Promise<string> {
  return await readFile(path, 'latin1').catch(() => '')
}
