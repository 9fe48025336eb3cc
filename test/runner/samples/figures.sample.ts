import { test } from 'uvu';

test('measures', () => {
  console.log('R4,R8 {"kills":3}');
});
test('measures on', () => {
  console.log('R1 {"probes":["heap","tap"]}');
  console.log('R2 {not JSON}');
});
test.run();
