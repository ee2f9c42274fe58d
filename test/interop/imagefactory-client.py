"""
Builds, fits, pushes and deletes an image through Image Factory's REST API, as its own end-to-end test does: signed by
OAuth with mock-key and mock-secret, polled until COMPLETE or FAILED. Prints what it saw as JSON; exits 1 if anything
failed. Usage: imagefactory-client.py URL
"""
import json
import sys
import time

import requests
from requests_oauthlib import OAuth1

url = sys.argv[1]
oauth = OAuth1('mock-key', client_secret='mock-secret')
headers = {'accept': 'application/json', 'content-type': 'application/json'}
TDL = (
    "<template><name>buildbase_image</name><os><name>MockOS_A</name><version>1</version>"
    "<arch>x86_64</arch><install type='url'><url>http://download.example/os/</url></install>"
    "<rootpw>password</rootpw></os><description>Tests building a base_image</description></template>"
)
statuses = []


def build(path, kind, fields):
    answer = requests.post(url + path, data=json.dumps({kind: fields}), headers=headers, auth=oauth)
    image = answer.json()[kind]
    while image['status'] not in ('COMPLETE', 'COMPLETED', 'FAILED'):
        time.sleep(0.2)
        image = requests.get(url + '/' + kind + 's/' + image['id'], auth=oauth).json()[kind]
    statuses.append((kind, image['status']))
    return image


def delete(path, **more):
    statuses.append(('DELETE', requests.delete(url + path, auth=oauth, **more).status_code))


base = build('/base_images', 'base_image', {'template': TDL})
target = build('/base_images/' + base['id'] + '/target_images', 'target_image', {'target': 'mock'})
where = {'target': 'mock', 'provider': 'mock-provider', 'credentials': '<credentials/>'}
pushed = build('/target_images/' + target['id'] + '/provider_images', 'provider_image', where)
form = requests.post(url + '/base_images', data={'template': TDL + '\n', 'more': 'a b&c+d'}, auth=oauth)
statuses.append(('form', form.status_code))
delete('/provider_images/' + pushed['id'], data=json.dumps({'provider_image': where}), headers=headers)
delete('/target_images/' + target['id'])
delete('/base_images/' + base['id'])
statuses.append(('unsigned', requests.get(url + '/base_images').status_code))
wrong = OAuth1('mock-key', client_secret='other')
statuses.append(('wrong', requests.get(url + '/base_images', auth=wrong).status_code))
statuses.append(('version', requests.get(url).json()['api_version']))
print(json.dumps(statuses))
sys.exit(any(status == 'FAILED' for _, status in statuses))
