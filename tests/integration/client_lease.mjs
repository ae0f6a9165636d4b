// SPDX-License-Identifier: Apache-2.0
// What a program that elects its leader by a Lease does with @kubernetes/client-node.
// usage: client_lease.mjs URL NAMESPACE
//        client_lease.mjs DIRECTORY NAMESPACE   with the variables that a pod has, and its files in DIRECTORY
// Prints "ok" or fails with what was not as expected.
import assert from 'node:assert/strict';
import * as k8s from '@kubernetes/client-node';

const [server, namespace] = process.argv.slice(2);
// Plain HTTP to its own agent, which this library only takes when told not to verify.
const config = new k8s.KubeConfig();
if (server.startsWith('/')) config.loadFromCluster(server);
else config.loadFromClusterAndUser({ name: 'agent', server, skipTLSVerify: true }, { name: 'pod' });
const api = config.makeApiClient(k8s.CoordinationV1Api);
const name = 'lock-of-node';
const spec = (holderIdentity) => ({
  holderIdentity, leaseDurationSeconds: 15, leaseTransitions: 0,
  acquireTime: new k8s.V1MicroTime(), renewTime: new k8s.V1MicroTime(),
});

async function failsWith(code, promise) {
  await assert.rejects(promise, (error) => error.code === code);
}

await failsWith(404, api.readNamespacedLease({ namespace, name }));
const mine = await api.createNamespacedLease({ namespace, body: { metadata: { name }, spec: spec('one') } });
await failsWith(409, api.createNamespacedLease({ namespace, body: { metadata: { name }, spec: spec('two') } }));
const renewed = await api.replaceNamespacedLease({ namespace, name, body: { ...mine, spec: spec('one') } });
assert.equal(renewed.metadata.uid, mine.metadata.uid);
await failsWith(409, api.replaceNamespacedLease({ namespace, name, body: { ...mine, spec: spec('two') } }));
await api.replaceNamespacedLease({ namespace, name, body: { ...renewed, spec: spec('two') } });
assert.equal((await api.readNamespacedLease({ namespace, name })).spec.holderIdentity, 'two');
await api.deleteNamespacedLease({ namespace, name });
await failsWith(404, api.readNamespacedLease({ namespace, name }));
console.log('ok');
