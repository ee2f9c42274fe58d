import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toProxies, toProxyEnvironment } from './apt-options.ts'

const SETTINGS = [
  'Acquire::Retries "2"',
  'Acquire::http::Proxy "http://proxy.example:3142"',
  'Acquire::http::Proxy::mirror.example "DIRECT"',
  'Acquire::http::Proxy::other.example "http://127.0.0.1:3143/"',
  'Acquire::https::proxy "http://user:word@10.0.0.9:8080"',
]

test('other programs are given the proxies for everything', () => {
  assert.deepEqual(toProxyEnvironment(SETTINGS), {
    http_proxy: 'http://proxy.example:3142',
    https_proxy: 'http://user:word@10.0.0.9:8080',
  })
})

test('all proxies are told, those for single hosts too', () => {
  assert.deepEqual(toProxies(SETTINGS), [
    'http://proxy.example:3142',
    'http://127.0.0.1:3143/',
    'http://user:word@10.0.0.9:8080',
  ])
})
