import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeContext } from '../base/context.ts'
import { runTool } from '../base/process.ts'
import { findFenceTrouble } from '../remotes/fenced-uplink.ts'
import { hostUplink } from '../remotes/uplink.ts'
import { loadConfig } from './config.ts'
import { guestUplink } from './guest-uplink.ts'

const configOf = (env: Record<string, string>) => loadConfig({ env: { HOME: '/', ...env } }).config

test('guests reach what this host reaches only if the configuration says so', () => {
  assert.notEqual(guestUplink(configOf({}), {}), hostUplink)
  assert.equal(guestUplink(configOf({ INGOT_GUEST_NETWORK: 'host' }), {}), hostUplink)
})

test('proxies and the hosts that the configuration names are within reach of guests', async (t) => {
  const context = makeContext()
  const trouble = await findFenceTrouble([], context)
  if (trouble !== undefined) return t.skip(trouble)
  const config = configOf({ INGOT_FACTORY_PRIVATE_HOSTS: '10.1.2.3' })
  const proxies = {
    http_proxy: '127.0.0.1:3142',
    https_proxy: 'http://10.9.9.9',
    no_proxy: '10.7.7.7',
  }
  await using uplink = await guestUplink(config, proxies)([], context)
  const rules = (await runTool([...uplink.launcher, 'ip', 'rule'])).toString()
  assert.match(rules, /to 10\.1\.2\.3 ipproto tcp lookup/)
  assert.match(rules, /to 127\.0\.0\.1 ipproto tcp dport 3142 lookup/)
  assert.match(rules, /to 10\.9\.9\.9 ipproto tcp dport 80 lookup/)
  assert.doesNotMatch(rules, /10\.7\.7\.7/)
})
