import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { readAuthorities } from './_authorities.ts'

const at = await tempDir()
const PEM = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'

const provider = (cacert: string | undefined, isConfigured = false) => ({
  name: 'cloud',
  options: { cacert },
  credentials: {},
  isConfigured,
})

test('authorities are read from a file of this host for its owner only', async () => {
  const path = at('ca.pem')
  await writeFile(path, PEM)
  assert.equal(await readAuthorities(provider(path, true)), PEM)
  assert.equal(await readAuthorities(provider(PEM)), PEM)
  assert.equal(await readAuthorities(provider(undefined)), undefined)
  for (const file of [path, '/dev/zero', at('nothing')])
    await assert.rejects(readAuthorities(provider(file)), failsWith('CONFIG_INVALID'))
  await assert.rejects(readAuthorities(provider(at('nothing'), true)), failsWith('FILE_NOT_FOUND'))
})
