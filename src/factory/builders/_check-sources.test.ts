import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publicWeb } from '../../bytes/public-web.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { OWNERS_REACH } from '../reach.ts'
import { checkSources } from './_check-sources.ts'

const STRANGERS = { web: publicWeb(['127.0.0.2'], 'Name it.'), files: false }

test('archives of this host and its networks are not read for a stranger', async () => {
  for (const mirror of [
    'http://127.0.0.1/debian',
    'http://[::1]/debian',
    'http://169.254.169.254/latest',
    'http://localhost:9292/debian',
    'http://2130706433/debian',
    'file:/srv/mirror',
    'copy:/srv/mirror',
  ]) {
    await assert.rejects(checkSources({ mirror }, STRANGERS), failsWith('DOWNLOAD_FAILED'), mirror)
    const besides = { security_mirror: mirror }
    await assert.rejects(checkSources(besides, STRANGERS), failsWith('DOWNLOAD_FAILED'), mirror)
    await checkSources({ mirror }, OWNERS_REACH)
  }
})

test('archives of the public internet, and hosts that are named, are read for anybody', async () => {
  await checkSources({ mirror: 'http://192.0.9.1/debian', security_mirror: 'none' }, STRANGERS)
  await checkSources({ mirror: 'http://127.0.0.2/debian' }, STRANGERS)
  await checkSources(undefined, STRANGERS)
})

test('a key ring is one of those that hosts keep for archives, not any file', async () => {
  await checkSources({ keyring: '/usr/share/keyrings/debian-archive-keyring.gpg' }, STRANGERS)
  for (const keyring of ['/etc/shadow', '/usr/share/keyrings/../../../etc/shadow', '/etc/apt/a'])
    await assert.rejects(checkSources({ keyring }, STRANGERS), failsWith('BUILD_FAILED'), keyring)
  await checkSources({ keyring: '/etc/shadow' }, OWNERS_REACH)
})
