import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parse } from 'yaml'
import { runTool } from '../../../base/process.ts'
import type { AnswerInput } from './answer-input.ts'
import { sha512Crypt } from './sha512-crypt.ts'
import { makeStockAnswer } from './stock-answer.ts'

const HASH = '$6$salt$hash'
const KEY = 'ssh-ed25519 AAAA somebody'
const INPUT: AnswerInput = {
  os: { name: 'Debian', version: '12', arch: 'x86_64' },
  tree: new URL('http://mirror.example.org:8080/debian/dists/bookworm/'),
  passwordHash: HASH,
  password: 'secret & <more>',
  device: '/dev/vda',
  firmware: 'bios',
  productKey: null,
  authorizedKey: KEY,
}

test('a preseed names the mirror of the tree, the disk, the password’s hash, and powers off', async () => {
  const text = makeStockAnswer('preseed', INPUT)
  for (const line of [
    'd-i mirror/http/hostname string mirror.example.org:8080',
    'd-i mirror/http/directory string /debian',
    'd-i mirror/suite string bookworm',
    'd-i partman-auto/disk string /dev/vda',
    `d-i passwd/root-password-crypted password ${HASH}`,
    'd-i debian-installer/exit/poweroff boolean true',
  ])
    assert.ok(text.includes(`${line}\n`), line)
  assert.match(
    text,
    /late_command string mkdir -p -m 700 \/target\/root\/\.ssh; echo 'ssh-ed25519 AAAA/,
  )
  // debconf itself says whether it can be read.
  await runTool(['debconf-set-selections', '--checkonly'], { input: text })
  const uefi = makeStockAnswer('preseed', { ...INPUT, firmware: 'uefi', authorizedKey: undefined })
  assert.match(uefi, /method\{ efi \}[^]*force-efi-extra-removable boolean true/)
  assert.doesNotMatch(uefi, /late_command/)
})

test('a kickstart speaks the language of its release', () => {
  const os = { name: 'Fedora', version: '42', arch: 'x86_64' }
  const modern = makeStockAnswer('kickstart', { ...INPUT, os })
  assert.match(modern, /^url --url="http:\/\/mirror/m)
  assert.match(modern, new RegExp(`^rootpw --iscrypted ${RegExp.escape(HASH)}$`, 'm'))
  assert.match(modern, /^ignoredisk --only-use=vda$/m)
  assert.match(modern, /^poweroff$/m)
  assert.equal(modern.match(/^%end$/gm)?.length, 2)
  const old = makeStockAnswer('kickstart', {
    ...INPUT,
    os: { name: 'RHEL-5', version: '11', arch: 'x86_64' },
    tree: undefined,
  })
  assert.match(old, /^install\ncdrom$/m)
  assert.doesNotMatch(old, /%end|reqpart|eula/)
})

/** Words of a kickstart for a release, of those that not all releases know. */
const words = (name: string, version: string) => {
  const os = { name, version, arch: 'x86_64' }
  const text = makeStockAnswer('kickstart', { ...INPUT, os, firmware: 'uefi' })
  const known =
    /^(install|eula|authconfig|authselect|firewall \S+|reqpart|part \/boot\/efi|part \/ \S+|%end)/gm
  return [...new Set(text.match(known))]
}

test('a kickstart has no word that its release does not know', () => {
  const common = ['firewall --service=ssh', 'part / --fstype=xfs', '%end']
  for (const [name, version] of [
    ['Fedora', '42'],
    ['RHEL-8', '10'],
    ['Rocky', '9.4'],
    ['CentOS-Stream', '10'],
  ] as const)
    assert.deepEqual(
      words(name, version).toSorted(),
      ['eula', 'reqpart', ...common].toSorted(),
      name,
    )
  assert.deepEqual(words('RHEL-7', '9'), [
    'eula',
    'authconfig',
    'firewall --service=ssh',
    'reqpart',
    'part / --fstype=xfs',
    '%end',
  ])
  assert.deepEqual(words('Fedora', '19'), [
    'authconfig',
    'firewall --service=ssh',
    'part /boot/efi',
    'part / --fstype=xfs',
    '%end',
  ])
  assert.deepEqual(words('RHEL-6', '10'), [
    'install',
    'authconfig',
    'firewall --service=ssh',
    'part /boot/efi',
    'part / --fstype=ext4',
    '%end',
  ])
  assert.deepEqual(words('RHEL-5', '11'), [
    'install',
    'authconfig',
    'firewall --enabled',
    'part /boot/efi',
    'part / --fstype=ext3',
  ])
})

test('an autoinstall is cloud-config, and powers off', () => {
  const text = makeStockAnswer('autoinstall', { ...INPUT, tree: undefined })
  assert.match(text, /^#cloud-config\n/)
  const { autoinstall } = parse(text) as { autoinstall: Record<string, unknown> }
  assert.equal(autoinstall['version'], 1)
  assert.equal(autoinstall['shutdown'], 'poweroff')
  assert.match(JSON.stringify(autoinstall['user-data']), /ssh-ed25519 AAAA/)
})

test('answer files in XML are whole, whatever stands in them', async () => {
  const odd = {
    ...INPUT,
    productKey: 'A<B>&"\'',
    os: { name: 'Windows', version: '10', arch: 'x86_64' },
  }
  for (const kind of ['autoyast', 'unattend'] as const)
    for (const firmware of ['bios', 'uefi'] as const) {
      const text = makeStockAnswer(kind, { ...odd, firmware })
      const script = 'import sys, xml.etree.ElementTree as e; e.fromstring(sys.stdin.buffer.read())'
      await runTool(['python3', '-c', script], { input: text })
    }
})

test('Windows gets the password as its tools write it', () => {
  const text = makeStockAnswer('unattend', INPUT)
  assert.ok(!text.includes('secret &'))
  const value = /<AdministratorPassword><Value>([^<]+)</.exec(text)?.[1] ?? ''
  const decoded = Buffer.from(value, 'base64').toString('utf16le')
  assert.equal(decoded, 'secret & <more>AdministratorPassword')
})

test('passwords are hashed as openssl hashes them', async () => {
  const password = fc
    .string({ minLength: 1, maxLength: 100 })
    .filter((text) => !/[\0\r\n]/.test(text))
  const salt = fc.stringMatching(/^[a-zA-Z0-9]{1,16}$/)
  await fc.assert(
    fc.asyncProperty(password, salt, async (clear, chosen) => {
      const argv = ['openssl', 'passwd', '-6', '-salt', chosen, '-stdin']
      const judged = (await runTool(argv, { input: `${clear}\n` })).toString().trim()
      assert.equal(sha512Crypt(clear, chosen), judged)
    }),
    { numRuns: 25 },
  )
})
