import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import * as fc from 'fast-check'
import { findFirmware, parseDescription } from './firmware.ts'

const directory = await mkdtemp(join(tmpdir(), 'ingot-firmware-test-'))
after(() => rm(directory, { recursive: true, force: true }))

/** A description as distributions write them, with some parts different. */
function describe(
  parts: Record<string, unknown> = {},
  code = '/code.fd',
  variables = '/vars.fd',
): string {
  return JSON.stringify({
    description: 'UEFI firmware for x86_64',
    'interface-types': ['uefi'],
    mapping: {
      device: 'flash',
      executable: { filename: code, format: 'raw' },
      'nvram-template': { filename: variables, format: 'raw' },
    },
    targets: [{ architecture: 'x86_64', machines: ['pc-i440fx-*', 'pc-q35-*'] }],
    features: ['acpi-s3', 'verbose-dynamic'],
    ...parts,
  })
}

test('takes firmware that boots anything on a q35 machine', () => {
  assert.deepEqual(parseDescription(describe()), {
    code: '/code.fd',
    variables: '/vars.fd',
    description: 'UEFI firmware for x86_64',
  })
})

test('passes over what needs more, or is for other machines', () => {
  for (const parts of [
    { features: ['requires-smm', 'secure-boot'] },
    { features: ['enrolled-keys'] },
    { 'interface-types': ['bios'] },
    { targets: [{ architecture: 'aarch64', machines: ['virt-*'] }] },
    { targets: [{ architecture: 'x86_64', machines: ['microvm'] }] },
    { mapping: { device: 'memory', filename: '/x' } },
    { mapping: undefined },
  ])
    assert.equal(parseDescription(describe(parts)), undefined, JSON.stringify(parts))
})

test('a description that is none does no harm', () => {
  for (const text of ['', '{', 'null', '[]', '{"targets": 1, "mapping": {"device": "flash"}}'])
    assert.equal(parseDescription(text), undefined, text)
  fc.assert(fc.property(fc.json(), (text) => assert.equal(parseDescription(text), undefined)))
})

test('looks in order of names, lets earlier directories win, and takes only what is there', async () => {
  const [site, system] = [join(directory, 'etc'), join(directory, 'usr')]
  const [code, variables] = [join(directory, 'code.fd'), join(directory, 'vars.fd')]
  for (const path of [site, system]) await mkdir(path)
  for (const path of [code, variables]) await writeFile(path, '')
  const described = (description: string) => describe({ description }, code, variables)
  await writeFile(join(system, '10-gone.json'), describe({}, '/gone.fd'))
  await writeFile(join(system, '20-good.json'), described('from the system'))
  await writeFile(join(system, '30-later.json'), described('later'))
  assert.equal((await findFirmware([site, system]))?.description, 'from the system')
  await writeFile(join(site, '20-good.json'), described('from the site'))
  assert.equal((await findFirmware([site, system]))?.description, 'from the site')
  assert.equal(await findFirmware([join(directory, 'none')]), undefined)
})
