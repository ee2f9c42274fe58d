import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { findProgram, runTool } from '../base/process.ts'
import { makeSeed, type Seed } from './seed.ts'

const skip = findProgram('xorriso') === undefined && 'needs xorriso'

/** A file of the seed, as xorriso reads it. */
async function read(seed: Seed, name: string): Promise<string | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'ingot-seed-test-'))
  try {
    const path = join(directory, 'seed.iso')
    await writeFile(path, makeSeed(seed))
    const argv = [
      'xorriso',
      '-osirrox',
      'on',
      '-indev',
      path,
      '-extract',
      '/',
      join(directory, 't'),
    ]
    await runTool(argv)
    return await readFile(join(directory, 't', name), 'utf8').catch(() => undefined)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

test('cloud-init finds who the guest is and what it is told, as YAML', { skip }, async () => {
  const seed = {
    instanceId: 'i-1',
    hostname: 'web',
    userData: { users: ['default'], locale: false },
  }
  assert.deepEqual(parse((await read(seed, 'meta-data')) ?? ''), {
    'instance-id': 'i-1',
    'local-hostname': 'web',
  })
  const userData = (await read(seed, 'user-data')) ?? ''
  assert.ok(userData.startsWith('#cloud-config\n'))
  assert.deepEqual(parse(userData), { users: ['default'], locale: false })
  assert.equal(await read(seed, 'network-config'), undefined)
})

test('a script and a network configuration go as they are', { skip }, async () => {
  const seed = {
    instanceId: 'i-2',
    userData: '#!/bin/sh\necho "ü"\n',
    networkConfig: { version: 2, ethernets: {} },
  }
  assert.equal(await read(seed, 'user-data'), seed.userData)
  assert.deepEqual(parse((await read(seed, 'network-config')) ?? ''), seed.networkConfig)
})

test('the same seed gives the same bytes', () => {
  assert.deepEqual(makeSeed({ instanceId: 'i' }), makeSeed({ instanceId: 'i' }))
})
