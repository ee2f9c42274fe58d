/** `ingot view` and `ingot map` as processes, with qemu-img and curl as judges. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { findProgram, runProcess, runTool } from '../src/base/process.ts'
import { MiB } from '../src/base/units.ts'
import type { Listing } from '../src/http/listing.ts'
import { openService } from '../src/testing/service.ts'
import { makeSparseDisk } from '../src/testing/sparse-disk.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const missing = ['qemu-img', 'curl'].filter((name) => findProgram(name) === undefined)
const skip = missing.length > 0 ? `needs ${missing.join(', ')}` : false
const at = await tempDir()
const raw = at('golden.raw')
const qcow2 = at('golden.qcow2')

before(async () => {
  await makeSparseDisk(raw, 24 * MiB)
  if (!skip) await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2])
})

const serve = async (...words: string[]) =>
  await openService([INGOT, 'view', ...words, '--listen', '127.0.0.1:0', '--json'])

/** The exit code of a server that does not start. */
async function refused(...words: string[]): Promise<number> {
  return (await runProcess([INGOT, 'view', ...words], { timeoutMs: 300_000 })).code
}

interface Map {
  size: number
  extents: { offset: number; length: number }[]
}

async function map(image: string): Promise<Map> {
  return JSON.parse((await runTool([INGOT, 'map', image, '--json'])).toString()) as Map
}

describe('ingot view', { skip, timeout: 300_000 }, () => {
  it('serves a qcow2 image in formats that QEMU reads as the same disk', async () => {
    await using service = await serve(qcow2)
    const { url, formats } = service.told as Listing & { url: string }
    const drivers: Record<string, string> = {
      raw: 'raw', qcow2: 'qcow2', vhd: 'vpc', vhdx: 'vhdx', vdi: 'vdi', vmdk: 'vmdk',
      'qcow2-zlib': 'qcow2', 'vmdk-stream': 'vmdk',
    } // prettier-ignore
    for (const [name, driver] of Object.entries(drivers)) {
      const format = formats.find((one) => one.name === name)
      assert.ok(format, name)
      const file = at(`got-${name}`)
      await runTool(['curl', '-sSf', '-o', file, new URL(format.url, url).href])
      const { code, stdout } = await runProcess(['qemu-img', 'compare', '-f', driver, '-F', 'raw', file, raw]) // prettier-ignore
      assert.equal(code, 0, `${name}: ${stdout.toString()}`)
    }
  })

  it('gives the bytes that ingot convert writes, whatever the image is in', async () => {
    await using service = await serve(raw)
    const { url, formats } = service.told as Listing & { url: string }
    for (const name of ['vhd', 'vhdx', 'vdi', 'vmdk']) {
      const converted = at(`converted.${name}`)
      await runTool([INGOT, 'convert', '-q', qcow2, converted, '--format', name])
      const address = new URL(formats.find((one) => one.name === name)?.url ?? '', url).href
      const served = Buffer.from(await (await fetch(address)).bytes())
      assert.ok(served.equals(await readFile(converted)), name)
    }
  })

  it('gives ranges that are slices, and goes on with a download that was cut', async () => {
    await using service = await serve(raw, '--format', 'vhdx')
    const { url, formats } = service.told as Listing & { url: string }
    assert.deepEqual(
      formats.map(({ name }) => name),
      ['vhdx'],
    )
    const address = new URL(formats[0]?.url ?? '', url).href
    const whole = await (await fetch(address)).bytes()
    for (const [from, to] of [
      [0, 7],
      [1_000_000, 3_000_000],
      [whole.length - 9, whole.length - 1],
    ]) {
      const part = await (
        await fetch(address, { headers: { range: `bytes=${from}-${to}` } })
      ).bytes()
      assert.deepEqual(part, whole.subarray(from, (to ?? 0) + 1))
    }
    const file = at('resumed')
    await writeFile(file, whole.subarray(0, 1_234_567))
    await runTool(['curl', '-sSf', '-C', '-', '-o', file, address])
    assert.ok((await readFile(file)).equals(whole))
  })

  it('serves two clients while a third leaves in the middle', async () => {
    await using service = await serve(raw)
    const { url } = service.told as { url: string }
    const rude = connect(Number(new URL(url).port), '127.0.0.1')
    rude.write('GET /disk.raw HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await once(rude, 'readable')
    rude.destroy()
    const get = async (path: string) => await (await fetch(new URL(path, url))).bytes()
    const [one, other] = await Promise.all([get('disk.raw'), get('disk.raw')])
    assert.ok((await readFile(raw)).equals(one))
    assert.deepEqual(one, other)
  })

  it('no longer serves an image that somebody writes to', async () => {
    const changing = at('changing.raw')
    await copyFile(raw, changing)
    await using service = await serve(changing)
    const { url } = service.told as { url: string }
    assert.equal((await fetch(new URL('disk.qcow2', url))).status, 200)
    await writeFile(changing, 'other', { flag: 'r+' })
    assert.equal((await fetch(new URL('disk.qcow2', url))).status, 409)
  })

  it('leaves nothing behind on Ctrl-C, unless it is to keep what it compressed', async () => {
    const [temp, kept] = [at('temp'), at('kept')]
    await mkdir(temp)
    for (const words of [[], ['--keep', kept]]) {
      const service = await openService(
        [INGOT, 'view', raw, ...words, '--listen', '127.0.0.1:0', '--json'],
        { TMPDIR: temp },
      )
      const { url } = service.told as { url: string }
      const compressed = new URL('disk.raw.gz', url)
      await (await fetch(compressed)).bytes()
      // Told whole while it was made; who asks now is answered once it is kept, and its length is known.
      const known = await fetch(compressed, { method: 'HEAD' })
      assert.ok(Number(known.headers.get('content-length')) > 0)
      assert.equal(await service.interrupt(), 0)
      assert.deepEqual(await readdir(temp), [])
    }
    assert.equal((await readdir(kept)).length, 1)
  })

  it('refuses an unsafe image, an unknown format, and an address that others reach', async () => {
    const unsafe = at('unsafe.qcow2')
    await runTool(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', raw, unsafe])
    assert.equal(await refused(unsafe), 4)
    assert.equal(await refused(raw, '--format', 'qcow3'), 2)
    assert.equal(await refused(raw, '--listen', '0.0.0.0:0'), 2)
    assert.equal(await refused(at('nothing')), 3)
  })
})

describe('ingot map', { skip, timeout: 300_000 }, () => {
  it('tells the same extents of an image in any format', async () => {
    const [ofRaw, ofQcow2] = await Promise.all([map(raw), map(qcow2)])
    assert.deepEqual(ofRaw.extents, ofQcow2.extents)
    assert.equal(ofRaw.size, 24 * MiB)
    const content = await readFile(raw)
    for (const { offset, length } of ofRaw.extents) content.fill(0, offset, offset + length)
    assert.ok(
      content.every((byte) => byte === 0),
      'all that is not zeros is in an extent',
    )
  })

  it('draws for people, and as a picture', async () => {
    const text = (await runTool([INGOT, 'map', qcow2])).toString()
    assert.match(text, /^golden\.qcow2: qcow2, 24\.0 MiB/)
    assert.match(text, /│[ ░▒▓█]+│/)
    const svg = at('disk.svg')
    await runTool([INGOT, 'map', qcow2, '--svg', svg])
    assert.match(await readFile(svg, 'utf8'), /^<svg .*role="img"[\s\S]*<\/svg>\n$/)
  })
})
