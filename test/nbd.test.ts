/** `ingot nbd` as a process, with QEMU's and libnbd's clients as judges. */
import assert from 'node:assert/strict'
import { access, lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { findProgram, runProcess, runTool } from '../src/base/process.ts'
import { MiB } from '../src/base/units.ts'
import { NbdClient } from '../src/testing/nbd-client.ts'
import { openService } from '../src/testing/service.ts'
import { makeSparseDisk } from '../src/testing/sparse-disk.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const needed = ['qemu-img', 'qemu-io', 'nbdinfo', 'nbdcopy']
const missing = needed.filter((name) => findProgram(name) === undefined)
const skip = missing.length > 0 ? `needs ${missing.join(', ')} (qemu-utils, libnbd-bin)` : false
const at = await tempDir()
const raw = at('disk.raw')
const size = 24 * MiB + 512

before(async () => {
  await makeSparseDisk(raw, size)
  for (const format of ['qcow2', 'vmdk'])
    if (!skip)
      await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', format, raw, at(`disk.${format}`)])
})

let count = 0
async function serve(image: string) {
  const socket = at(`socket-${++count}`)
  const service = await openService([INGOT, 'nbd', image, '--socket', socket, '--json'])
  const { uri } = service.told as { uri: string }
  return { ...service, uri, socket, [Symbol.asyncDispose]: service[Symbol.asyncDispose] }
}

describe('ingot nbd', { skip, timeout: 300_000 }, () => {
  for (const format of ['raw', 'qcow2', 'vmdk'])
    it(`offers the disk inside a ${format} image, byte for byte and hole for hole`, async () => {
      await using server = await serve(at(`disk.${format}`))
      await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', 'raw', raw, server.uri])
      const copy = at(`copy-of-${format}`)
      await runTool(['nbdcopy', server.uri, copy])
      assert.ok((await readFile(copy)).equals(await readFile(raw)))
      assert.ok((await lstat(copy)).blocks * 512 < 4 * MiB, 'holes were copied as holes')
    })

  it('says what it is, and which parts are data', async () => {
    await using server = await serve(at('disk.qcow2'))
    const told = (await runTool(['nbdinfo', '--json', server.uri])).toString()
    const { exports } = JSON.parse(told) as { exports: Record<string, unknown>[] }
    assert.equal(exports[0]?.['export-size'], size)
    assert.equal(exports[0]?.['is_read_only'], true)
    assert.equal(exports[0]?.['can_multi_conn'], true)
    const map = JSON.parse(
      (await runTool(['nbdinfo', '--map', '--json', server.uri])).toString(),
    ) as {
      offset: number
      length: number
      type: number
    }[]
    const own = JSON.parse((await runTool([INGOT, 'map', raw, '--json'])).toString()) as {
      extents: { offset: number; length: number }[]
    }
    const data = map
      .filter(({ type }) => type === 0)
      .map(({ offset, length }) => ({ offset, length }))
    assert.deepEqual(data, own.extents)
  })

  it('is converted by QEMU as any disk is', async () => {
    await using server = await serve(at('disk.vmdk'))
    const target = at('converted.qcow2')
    await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-W', server.uri, target])
    await runTool(['qemu-img', 'compare', '-f', 'qcow2', '-F', 'raw', target, raw])
    assert.match(
      (await runTool(['qemu-img', 'info', '-f', 'raw', server.uri])).toString(),
      /24 MiB/,
    )
  })

  it('gives odd ranges, and takes no writes', async () => {
    await using server = await serve(raw)
    const reads = ['read 511 3', 'read 1M 5M', `read ${size - 512} 512`].flatMap((read) => [
      '-c',
      read,
    ])
    await runTool(['qemu-io', '-r', '-f', 'raw', ...reads, server.uri])
    const { code } = await runProcess(['qemu-io', '-f', 'raw', '-c', 'write 0 512', server.uri])
    assert.notEqual(code, 0)
  })

  it('goes on serving when other clients talk nonsense', async () => {
    await using server = await serve(raw)
    for (const nonsense of [
      Buffer.alloc(1000, 0xff),
      Buffer.from('\0\0\0\x03IHAVEOPT\0\0\0\x06\xff\xff\xff\xff', 'latin1'),
    ]) {
      using client = new NbdClient({ path: server.socket })
      client.socket.write(nonsense)
      await client.rest()
    }
    await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', 'raw', raw, server.uri])
  })

  it('removes its socket on Ctrl-C, and takes the place of a server that was killed', async () => {
    const server = await serve(raw)
    assert.equal((await lstat(server.socket)).mode & 0o777, 0o600)
    process.kill(server.pid, 'SIGKILL')
    await server[Symbol.asyncDispose]()
    await access(server.socket)
    const second = await openService([INGOT, 'nbd', raw, '--socket', server.socket, '--json'])
    const { code, stderr } = await runProcess([INGOT, 'nbd', raw, '--socket', server.socket])
    assert.equal(code, 1)
    assert.match(stderr.toString(), /is in use/)
    assert.equal(await second.interrupt(), 0)
    await assert.rejects(access(server.socket))
  })

  it('wants to be told where to listen', async () => {
    for (const words of [
      [],
      ['--socket', 'a', '--listen', '1'],
      ['--listen', 'x'],
      ['--listen', '0.0.0.0:1'],
    ])
      assert.equal((await runProcess([INGOT, 'nbd', raw, ...words])).code, 2)
  })
})
