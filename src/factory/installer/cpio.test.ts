import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { runTool } from '../../base/process.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { type CpioEntry, makeCpio } from './cpio.ts'

const BUSYBOX = '/bin/busybox'
const list = async (archive: Uint8Array): Promise<string[]> =>
  (await runTool([BUSYBOX, 'cpio', '-t'], { input: archive })).toString().trim().split('\n')

test('cpio finds what was put in, each directory before what is in it', async () => {
  const archive = makeCpio([
    { path: 'a/b/file', content: Buffer.from('content') },
    { path: 'link', linkTo: 'a/b/file' },
    { path: 'a/program', content: Buffer.from('#!/bin/sh\n'), mode: 0o755 },
  ])
  assert.deepEqual(await list(archive), ['a', 'a/b', 'a/b/file', 'link', 'a/program'])
  const told = await runTool([BUSYBOX, 'cpio', '-tv'], { input: archive })
  assert.match(told.toString(), /-rwxr-xr-x\s+0\/0\s+10 .* a\/program/)
})

test('cpio reads any content back as it was', async () => {
  const name = fc.stringMatching(/^[a-z]{1,12}$/)
  const content = fc.uint8Array({ maxLength: 300 })
  await fc.assert(
    fc.asyncProperty(fc.dictionary(name, content, { minKeys: 1, maxKeys: 5 }), async (files) => {
      const entries = Object.entries(files).map(([path, bytes]) => ({ path, content: bytes }))
      const archive = makeCpio(entries)
      for (const { path, content: bytes } of entries) {
        const options = { input: archive }
        const read = await runTool([BUSYBOX, 'cpio', '-i', '--to-stdout', '--quiet', path], options)
        assert.deepEqual(read, Buffer.from(bytes))
      }
    }),
    { numRuns: 8 },
  )
})

test('the same entries give the same bytes, a multiple of four', () => {
  const entries: CpioEntry[] = [{ path: 'odd', content: Buffer.from('12345') }]
  assert.deepEqual(makeCpio(entries), makeCpio(entries))
  assert.equal(makeCpio(entries).length % 4, 0)
})

test('refuses paths that lead out, and the same path twice', () => {
  const content = Buffer.alloc(0)
  for (const path of ['', '/etc/passwd', '../up', 'a//b', 'a/./b', 'a/../b', 'a/', 'TRAILER!!!'])
    assert.throws(() => makeCpio([{ path, content }]), failsWith('USAGE'), path)
  const twice = { path: 'a', content }
  assert.throws(() => makeCpio([twice, twice]), failsWith('USAGE'))
})
