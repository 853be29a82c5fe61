new Function('for (;;);')();
